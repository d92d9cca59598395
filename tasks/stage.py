"""How a stage of dvc.yaml starts and ends with one clear line.

Run:  python -m tasks.stage NAME [KEY]     (as dvc.yaml does; `ratchet stage NAME@KEY` is for people)

A stage is a module of ``tasks.stages`` with ``Sections``, the part of params.yaml that it reads, and ``stage``, which
does the work and returns its summary; one that dvc.yaml has several of also has ``keys``, their names. Nothing here
changes what a stage makes, so no stage depends on this file.
"""

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from evalsuite.core.errors import ExitCode, RatchetError, UsageError
from evalsuite.core.terminal import make_streams_safe
from evalsuite.network.local_network import ask_local_servers_directly
from evalsuite.network.network_errors import is_disk_error, is_network_error, remedy_for, said_by
from tasks.config.params import Params, load_params
from tasks.config.reading import read_params
from tasks.dvc_command import SAFE_PATH
from tasks.logs import start_logging
from tasks.paths import ArtifactPaths
from tasks.pipeline.earlier_outputs import TERMINATED, earlier_outputs_kept
from tasks.pipeline.project_lock import refuse_beside_a_run

STAGES = (
    "inputs",
    "fetch",
    "prepare",
    "baseline",
    "plan",
    "train",
    "evaluate_baseline",
    "stopping",
    "evaluate",
    "contamination",
    "compare",
    "gate",
    "report",
)
COMPUTE_FOR_LONG = frozenset({"train", "evaluate", "evaluate_baseline"})


def main(arguments: list[str] | None = None) -> int:
    """Run the stage that the command line names; returns its exit code."""
    if sys.flags.safe_path:
        os.environ[SAFE_PATH] = "1"  # for the workers and servers that the stage starts
    name, *keys = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name not in STAGES:
        print(f"error: no stage {name!r}; stages: {', '.join(STAGES)}", file=sys.stderr)
        return int(ExitCode.USAGE)
    return ended(lambda paths: run(name, keys, paths))


def run(name: str, keys: list[str], paths: ArtifactPaths) -> str:
    """Read the stage's sections of params.yaml and do its work.

    Args:
        name: One of ``STAGES``.
        keys: The method or model, of a stage that dvc.yaml has one for each of.
        paths: The project.

    Raises:
        UsageError: The key is not one that the stage takes, or what the stage itself raises.
    """
    module = import_module(f"tasks.stages.{name}")
    params: Any = load_params(paths.params) if module.Sections is Params else read_params(paths.params, module.Sections)
    accepted: tuple[str, ...] | None = module.keys(params) if hasattr(module, "keys") else None
    if accepted is None and keys:
        raise UsageError(f"stage {name} takes no name, got {keys}")
    if accepted is not None and (len(keys) != 1 or keys[0] not in accepted):
        raise UsageError(f"stage {name} takes one of {', '.join(accepted)}, got {keys}")
    summary: str = module.stage(params, paths, *keys)
    return summary


def ended(work: Callable[[ArtifactPaths], str]) -> int:
    """Do the work, print its one-line summary; what a stage made before is kept where it fails.

    Returns:
        0, or the error's exit code after its message on stderr (no traceback for what a user can fix, or for Ctrl-C).
    """
    make_streams_safe()
    ask_local_servers_directly()
    start_logging()
    paths = ArtifactPaths()
    try:
        with earlier_outputs_kept():
            refuse_beside_a_run(paths.root)
            summary = work(paths)
        print(summary)
    except RatchetError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except Exception as error:
        if not (isinstance(error, OSError) or is_network_error(error) or is_disk_error(error)):
            raise
        print(f"error: {said_by(error)}; {remedy_for(error)}, then run the stage again", file=sys.stderr)
        return int(ExitCode.STAGE)
    except KeyboardInterrupt:
        print("stopped; `dvc repro` goes on", file=sys.stderr)
        return 128 + signal.SIGINT
    except SystemExit as left:  # of another package's code; with 0, an earlier verdict would stand as this one
        if left.code == TERMINATED:
            raise
        print(f"error: code that the stage ran left with sys.exit({left.code!r}) before its end", file=sys.stderr)
        return int(ExitCode.STAGE)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in COMPUTE_FOR_LONG:
        from tasks.allocator import keep_freed_memory

        keep_freed_memory()
    raise SystemExit(main())
