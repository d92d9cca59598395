"""The objective that a name of params.yaml stands for, Ratchet's own or another package's."""

import inspect
import traceback
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.extensions import blaming
from evalsuite.core.files import read_json
from tasks.config.objectives import OTHERS
from tasks.objectives.objective import Objective
from tasks.objectives.sft import Sft
from tasks.objectives.text import Text

BUILT_IN: dict[str, type[Objective]] = {"sft": Sft, "text": Text}


def find_objective(name: str) -> Objective:
    """Make an objective.

    Raises:
        UsageError: Another package's is not there any more, cannot be made, or is none.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
    entry = OTHERS.find(name)
    with blaming(f"objective {name!r} ({entry.value}) could not be made"):
        made = entry.load()()
    if not isinstance(made, Objective) or made.name != name:
        raise UsageError(
            f"entry point {name!r} ({entry.value}) makes no tasks.objectives.objective.Objective of this name"
        )
    return made


def prepared_objective(prepared: Path) -> Objective:
    """The one that the rows in data/prepared were made for; raises like ``find_objective``."""
    return find_objective(read_json(prepared / "report.json", "ratchet stage prepare").get("objective", "sft"))


def sources(objective: Objective) -> tuple[Path, ...]:
    """Files of the package that an objective comes from; none of Ratchet's own, whose imports tell them."""
    if objective.name in BUILT_IN:
        return ()
    package = import_module(type(objective).__module__.partition(".")[0])
    files = [path for folder in getattr(package, "__path__", ()) for path in Path(folder).rglob("*.py")]
    return tuple(sorted(files)) or (Path(inspect.getfile(package)),)


def blamed(objective: Objective) -> AbstractContextManager[None]:
    """Turn what another package's code raises into one line (StageError) that names the objective and its class."""
    kind, files = type(objective), [str(path) for path in sources(objective)]

    def is_ours(error: Exception) -> bool:
        # As text, since processes that tokenise send their tracebacks as such.
        said = "".join(traceback.format_exception(error))
        return not any(file in said for file in files)

    who = f"objective {objective.name!r} ({kind.__module__}:{kind.__qualname__})"
    return blaming(f"{who} failed", StageError, is_ours, "; correct its code, or name another prepare.objective")
