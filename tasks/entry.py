"""How every stage starts from the command line and ends with one clear line."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable

from evalsuite.errors import ExitCode, RatchetError
from evalsuite.local_network import ask_local_servers_directly
from evalsuite.network_errors import is_network_error, remedy_for, said_by
from evalsuite.terminal import make_streams_safe
from tasks.config.params import Params, load_params
from tasks.earlier_outputs import earlier_outputs_kept
from tasks.paths import ArtifactPaths
from tasks.project_lock import refuse_beside_a_run

QUIET_LOGGERS = ("bitsandbytes", "lm_eval.api.task", "httpx", "filelock")
"""Libraries that warn on every start of things that no user of a stage can change."""


def stage_main(stage: Callable[[Params, ArtifactPaths], str]) -> int:
    """Load params.yaml, run ``stage``, print its one-line summary; a stage that fails leaves what it made before.

    Returns:
        0, or the error's exit code after its message on stderr (no traceback for what a user can mend, or for Ctrl-C).
    """
    make_streams_safe()
    ask_local_servers_directly()
    start_logging()
    paths = ArtifactPaths()
    try:
        with earlier_outputs_kept():
            refuse_beside_a_run(paths.root)
            summary = stage(load_params(paths.params), paths)
        print(summary)
    except RatchetError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except Exception as error:
        if not isinstance(error, OSError) and not is_network_error(error):
            raise
        print(f"error: {said_by(error)}; {remedy_for(error)}, then run the stage again", file=sys.stderr)
        return int(ExitCode.STAGE)
    except KeyboardInterrupt:
        print("stopped; `dvc repro` goes on", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def start_logging() -> None:
    """Log to stderr; leave progress and warnings of ours alone there."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore", FutureWarning)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DEEPSPEED_LOG_LEVEL", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
