"""What other packages add to Ratchet: entry points, found by name, whose code never ends in a traceback."""

import difflib
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import RatchetError, UsageError

LONGEST = 300


class Extensions(NamedTuple):
    """One kind of thing that packages can add."""

    group: str
    """Name of the entry points' group."""
    noun: str
    """How messages call one."""
    own: tuple[str, ...] = ()
    """Names of Ratchet's own, which no package can take."""

    def registered(self) -> dict[str, EntryPoint]:
        """Name -> where a package registered it; nothing is loaded."""
        return {entry.name: entry for entry in entry_points(group=self.group) if entry.name not in self.own}

    def find(self, name: str) -> EntryPoint:
        """Where another package registered a name; nothing of it is loaded.

        Raises:
            UsageError: Nobody did; gives the nearest name, and all.
        """
        registered = self.registered()
        if name not in registered:
            raise UsageError(self.unknown(name))
        return registered[name]

    def unknown(self, name: str) -> str:
        """What is said of a name that nobody registered."""
        known = [*self.own, *sorted(self.registered())]
        return (
            f"no {self.noun} {name!r}; {did_you_mean(name, known)}Known here: {', '.join(known) or 'none'}; other "
            f"packages add one by an entry point in the group {self.group!r}"
        )


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A question with the nearest of the known names and a space behind it; empty where none is near.

    Args:
        name: What was given.
        known: What is accepted.
        cutoff: How alike two names must be (``difflib``, 0..1).
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean {near[0]!r}? " if near else ""


@contextmanager
def blaming(
    what: str,
    kind: type[RatchetError] = UsageError,
    passes: Callable[[Exception], bool] | None = None,
    advice: str = "",
) -> Iterator[None]:
    """Turn what another package's code raises, which is not ours to foresee, into one line.

    Args:
        what: Start of the line: what failed, with its entry point.
        kind: What is raised instead.
        passes: Whether an error goes through as it is, as Ratchet's own do.
        advice: End of the line, with what leads to it, such as ``; correct its code``.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, RatchetError) or (passes is not None and passes(error)):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        line = "" if last.filename.startswith("<") else f" ({Path(last.filename).name}, line {last.lineno})"
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise kind(f"{what}: {said if len(said) <= LONGEST else said[: LONGEST - 1] + '…'}{line}{advice}") from error
