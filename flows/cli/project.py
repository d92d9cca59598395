"""Where a command works."""

import os
import sys
from pathlib import Path

from evalsuite.core.errors import UsageError


def project_root() -> Path:
    """The nearest folder upwards with params.yaml and dvc.yaml; the process moves there."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
            os.chdir(folder)
            sys.path.insert(0, str(folder))
            return Path()
    raise UsageError(f"no params.yaml and dvc.yaml in {here} or above; run ratchet inside the project's folder")
