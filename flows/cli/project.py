"""Where a command works."""

import os
import sys
from pathlib import Path

from evalsuite.core.errors import UsageError

OWN = frozenset(
    [
        "params.yaml",
        "dvc.yaml",
        "dvc.lock",
        "pyproject.toml",
        ".dvc",
        ".git",
        "data",
        "golden_sets",
        "registry",
        "evals",
        "models",
        "plans",
        "checkpoints",
        "flows",
        "tasks",
        "evalsuite",
    ]
)
REPORTS = frozenset(["decision.json", "comparison.json", "contamination.json", "promotion.html", "model_card.md"])
"""What a project lives by, at its top and in reports/."""


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


def check_own_file(path: Path) -> None:
    """Refuse to write a result over a file that a project lives by.

    Raises:
        UsageError: The file is there, in a folder of a project that only its stages and its user write.
    """
    place = path.resolve()
    root = project_above(place.parent)
    if root is None or not place.exists():
        return
    top, *below = place.relative_to(root.resolve()).parts
    if top in OWN or (top == "reports" and below[-1:] and below[-1] in REPORTS):
        raise UsageError(f"{path} is a file that the project in {root} lives by; name another file to write to")


def project_above(place: Path) -> Path | None:
    """The nearest project around ``place``, itself included."""
    around = (place, *place.parents)
    return next((each for each in around if all((each / name).is_file() for name in ("params.yaml", "dvc.yaml"))), None)
