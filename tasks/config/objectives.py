"""Names of what is trained for."""

import difflib
from importlib.metadata import entry_points

OBJECTIVES = ("sft", "text")
GROUP = "ratchet.objectives"
"""Entry points of other packages' objectives; the names of Ratchet's own stay its own."""


def objective_name(given: str) -> str:
    """The name of an objective; ``chat`` is what ``sft`` was called before.

    Raises:
        ValueError: Nobody has such an objective; says the nearest name, and all.
    """
    name = "sft" if given == "chat" else given
    if name in OBJECTIVES:
        return name
    known = [*OBJECTIVES, *sorted(entry.name for entry in entry_points(group=GROUP))]
    if name not in known:
        near = "".join(f"did you mean {each!r}? " for each in difflib.get_close_matches(name, known, n=1))
        raise ValueError(
            f"no such objective; {near}Known here: {', '.join(known)}; other packages add objectives by an entry point "
            f"in the group {GROUP!r}"
        )
    return name
