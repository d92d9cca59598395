"""The objective that a name of params.yaml stands for, Ratchet's own or another package's."""

import inspect
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from evalsuite.core.errors import RatchetError, StageError, UsageError
from evalsuite.core.files import read_json
from evalsuite.network.network_errors import said_by
from tasks.config.objectives import GROUP
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
    entry = entry_point(name)
    try:
        made = entry.load()()
    except Exception as error:  # what another package raises is not ours to foresee
        raise UsageError(f"objective {name!r} ({entry.value}) could not be made: {said_by(error)}") from error
    if not isinstance(made, Objective) or made.name != name:
        raise UsageError(
            f"entry point {name!r} ({entry.value}) makes no tasks.objectives.objective.Objective of this name"
        )
    return made


def entry_point(name: str) -> EntryPoint:
    """Where another package registered an objective; nothing of it is loaded.

    Raises:
        UsageError: It is not there any more.
    """
    for entry in entry_points(group=GROUP, name=name):
        return entry
    raise UsageError(f"objective {name!r} is in no package here; install the one that has it, as when preparing")


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


@contextmanager
def blamed(objective: Objective) -> Iterator[None]:
    """Turn what the code of another package raises into one line that names it.

    Raises:
        StageError: Names the objective and its class.
    """
    try:
        yield
    except RatchetError:
        raise
    except Exception as error:
        kind = type(objective)
        # As text, since processes that tokenise send their tracebacks as such.
        said = "".join(traceback.format_exception(error))
        if not any(str(path) in said for path in sources(objective)):
            raise
        raise StageError(
            f"objective {objective.name!r} ({kind.__module__}:{kind.__qualname__}) failed: {said_by(error)}; "
            "correct its code, or name another prepare.objective"
        ) from error
