"""Names of what is trained for."""

from evalsuite.core.extensions import Extensions

OBJECTIVES = ("sft", "text")
OTHERS = Extensions("ratchet.objectives", "objective", OBJECTIVES)


def objective_name(given: str) -> str:
    """The name of an objective; ``chat`` is what ``sft`` was called before.

    Raises:
        ValueError: Nobody has such an objective; says the nearest name, and all.
    """
    name = "sft" if given == "chat" else given
    if name not in OBJECTIVES and name not in OTHERS.registered():
        raise ValueError(OTHERS.unknown(name))
    return name
