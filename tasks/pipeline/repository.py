"""What is missing where DVC finds no project: its own folder, or the git repository around it."""

import shutil
from pathlib import Path


def how_to_have_one(root: Path) -> str:
    """The command that makes ``root`` a project of DVC's again; it works where it is given."""
    place = root.resolve()
    versioned = next((folder for folder in (place, *place.parents) if (folder / ".git").exists()), None)
    if (place / ".dvc").is_dir():
        if versioned is None:
            return (
                "there is no git repository here or above: clone the project with git, or go on without one with "
                "`dvc config core.no_scm true`"
            )
        return f"{versioned / '.git'} cannot be read; clone the project anew, or `dvc config core.no_scm true`"
    if versioned is None:
        start = "" if shutil.which("git") is None else "`git init && dvc init`, or without git "
        return f"it has no .dvc folder, and there is no git repository: {start}`dvc init --no-scm`"
    if versioned != place:
        return f"it has no .dvc folder; in the repository {versioned} that is `dvc init --subdir`"
    return "it has no .dvc folder; bring it back with `git checkout .dvc`, or make a new one with `dvc init`"
