"""Under torchrun: one process of a training by every strategy in turn, so that the imports are paid once.

Run:  torchrun ... -m tests.tasks.training.strategy_worker FOLDER   (FOLDER/NAME is a project)
"""

import os
import sys
import tempfile
from pathlib import Path

from evalsuite.core.errors import RatchetError
from evalsuite.core.files import read_model, write_json
from tasks.config.params import Params, load_params
from tasks.logs import start_logging
from tasks.paths import ArtifactPaths
from tasks.training import trainer, worker
from tasks.training.job import Job
from tasks.training.parallel.launch import LaunchPlan
from tasks.training.parallel.preemption import StopRequest, die_with_parent
from tasks.training.parallel.strategies import deepspeed_config, sharded_loading, start_processes
from tasks.training.rows.inputs import fingerprint, read_inputs
from tasks.training.state.checkpoints import open_root
from tasks.training.worker import train


class Asked(StopRequest):
    """SIGTERM came before the first step."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = True


def forget() -> None:
    """accelerate and transformers keep one strategy a process; DeepSpeed's switch is an environment variable."""
    from accelerate.state import AcceleratorState, GradientState
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    unset_hf_deepspeed_config()
    for name in [name for name in os.environ if name.startswith(("ACCELERATE_", "FSDP_"))]:
        del os.environ[name]


def start(plan: LaunchPlan, project: str) -> None:
    """As the worker does, or with one of the configurations that accelerate takes and does not heed."""
    forget()
    start_processes(plan)
    trainer.sharded_loading = (lambda *_: None) if project == "silent-fsdp2" else sharded_loading
    trainer.deepspeed_config = (lambda *_: None) if project == "silent-zero2" else deepspeed_config
    if project == "silent-fsdp2":  # FSDP by accelerate's variables: not on CPUs
        os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    if project == "silent-zero2":  # a DeepSpeed configuration in accelerate's variable, without the switch
        file = Path(tempfile.mkdtemp()) / "zero2.json"
        write_json(file, deepspeed_config(plan) or {})
        del os.environ["ACCELERATE_USE_DEEPSPEED"]
        os.environ["ACCELERATE_DEEPSPEED_CONFIG_FILE"] = str(file)
    if project == "silent-zero3":  # what `accelerate launch --cpu` sets turns DeepSpeed off
        os.environ["ACCELERATE_USE_CPU"] = "true"


def attempt(name: str, params: Params, paths: ArtifactPaths, plan: LaunchPlan, stop: type[StopRequest]) -> None:
    start(plan, paths.root.name)
    worker.StopRequest = stop  # type: ignore[misc]
    rank = int(os.environ["RANK"])
    try:
        job = Job(name, params, plan, paths)
        train(job, read_inputs(job))
    except RatchetError as error:
        text = f"{type(error).__name__}: {error}"
        write_json(paths.root / f"{name}-{stop.__name__}-{rank}.json", {"error": text})


def main() -> int:
    import torch.distributed as dist

    die_with_parent()
    start_logging()
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    write_json(folder / f"host-{rank}.json", {"network": str(Path("/proc/self/ns/net").readlink())})
    for project in sorted(path for path in folder.iterdir() if path.is_dir()):
        paths = ArtifactPaths(project)
        params = load_params(paths.params)
        for name in params.methods:
            plan = read_model(paths.plans / f"{name}.launch.json", LaunchPlan, "x")
            start(plan, project.name)
            if rank == 0:
                open_root(paths.checkpoints(name), fingerprint(Job(name, params, plan, paths)))
            dist.barrier()
            if name == "full":
                attempt(name, params, paths, plan, Asked)
            attempt(name, params, paths, plan, StopRequest)
    dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
