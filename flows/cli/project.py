"""Where a command works."""

import os
import sys
from pathlib import Path

from evalsuite.core.errors import UsageError


def project_root() -> Path:
    """The nearest folder upwards with params.yaml and dvc.yaml; the process moves there.

    Where the project runs with the installed package, nothing that this process starts looks for modules in it.
    """
    folder = project_above(Path.cwd())
    if folder is None:
        raise UsageError(
            f"no params.yaml and dvc.yaml in {Path.cwd()} or above; run ratchet inside the project's folder, or make a "
            "project with `ratchet init FOLDER`"
        )
    from tasks.dvc_command import SAFE_PATH
    from tasks.installed.pipeline import starts_safely
    from tasks.paths import ArtifactPaths

    os.chdir(folder)
    if starts_safely(ArtifactPaths(folder)):
        os.environ[SAFE_PATH] = "1"
    else:
        sys.path.insert(0, str(folder))
    return Path()


def project_above(place: Path) -> Path | None:
    """The nearest project around ``place``, itself included."""
    around = (place, *place.parents)
    return next((each for each in around if all((each / name).is_file() for name in ("params.yaml", "dvc.yaml"))), None)
