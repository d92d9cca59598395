"""Under torchrun: one process of a training by every strategy in turn, so that the imports are paid once.

Run:  torchrun ... -m tests.tasks.training.strategy_worker FOLDER   (FOLDER/NAME is a project with the method ``full``)
"""

import os
import sys
from pathlib import Path

from evalsuite.errors import RatchetError
from evalsuite.files import read_model, write_json
from tasks.entry import start_logging
from tasks.params import load_params
from tasks.paths import ArtifactPaths
from tasks.training.checkpoints import open_root
from tasks.training.inputs import fingerprint, read_inputs
from tasks.training.launch import LaunchPlan
from tasks.training.preemption import die_with_parent
from tasks.training.strategies import start_processes
from tasks.training.worker import train


def forget() -> None:
    """accelerate and transformers keep one strategy a process; DeepSpeed's switch is an environment variable."""
    from accelerate.state import AcceleratorState, GradientState
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    unset_hf_deepspeed_config()
    os.environ.pop("ACCELERATE_USE_DEEPSPEED", None)


def main() -> int:
    import torch.distributed as dist

    die_with_parent()
    start_logging()
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    for project in sorted(path for path in folder.iterdir() if path.is_dir()):
        paths = ArtifactPaths(project)
        params = load_params(paths.params)
        for name in params.methods:
            launch = paths.plans / f"{name}.launch.json"
            if not launch.is_file():
                continue
            plan = read_model(launch, LaunchPlan, "x")
            forget()
            start_processes(plan)
            if project.name.startswith("silent"):
                os.environ.pop("ACCELERATE_USE_DEEPSPEED", None)
            inputs = read_inputs(name, params, paths)
            if rank == 0:
                open_root(paths.checkpoints(name), fingerprint(name, params, paths, plan))
            dist.barrier()
            try:
                train(name, params, paths, plan, inputs)
            except RatchetError as error:
                write_json(project / f"error-{name}-{rank}.json", {"kind": type(error).__name__, "text": str(error)})
    dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
