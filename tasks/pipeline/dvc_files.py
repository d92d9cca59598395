"""Which file DVC stumbled over, in words that lose nobody's edits."""

from pathlib import Path

from evalsuite.core.errors import UsageError
from evalsuite.core.yaml_file import read_yaml
from tasks.config.pipeline import check_sections

DIFFERENCE = "`git diff {name}` shows what differs from the last commit"


def check_dvc_files(root: Path) -> None:
    """Read what DVC reads: params.yaml, dvc.yaml and dvc.lock.

    Raises:
        UsageError: One of them is no YAML, or params.yaml lacks lines that dvc.yaml reads; names file, line and fix.
    """
    found = {}
    for name in ("params.yaml", "dvc.yaml", "dvc.lock"):
        try:
            found[name] = read_yaml(root / name) or {}
        except FileNotFoundError:
            found[name] = {}
        except UsageError as error:
            hint = "" if name == "params.yaml" else f"; {DIFFERENCE.format(name=name)}"
            raise UsageError(f"{error}{hint}") from None
    if isinstance(found["params.yaml"], dict):
        check_sections(found["params.yaml"], found["dvc.yaml"])


def explain_dvc(error: Exception, root: Path) -> UsageError:
    """Why DVC cannot make the pipeline of its files.

    Args:
        error: What DVC raised.
        root: The project's root.
    """
    try:
        check_dvc_files(root)
    except UsageError as found:
        return found
    said = " ".join(str(error).split())
    name = "dvc.lock" if "dvc.lock" in said else "dvc.yaml"
    return UsageError(f"{name} cannot be used: {said}; {DIFFERENCE.format(name=name)}")
