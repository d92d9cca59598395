"""How every stage starts from the command line and ends with one clear line."""

import logging
import sys
from collections.abc import Callable

from evalsuite.errors import ExitCode, RatchetError
from tasks.params import Params, load_params
from tasks.paths import ArtifactPaths


def stage_main(stage: Callable[[Params, ArtifactPaths], str]) -> int:
    """Load params.yaml, run ``stage``, print its one-line summary.

    Returns:
        0, or the error's exit code after its message on stderr (no traceback for what a user can mend).
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    paths = ArtifactPaths()
    try:
        print(stage(load_params(paths.params), paths))
    except RatchetError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except OSError as error:
        print(f"error: {error}; free disk space or mend the permissions, then run the stage again", file=sys.stderr)
        return int(ExitCode.STAGE)
    return 0
