"""What a file gives for each of its rows, before anybody asks what the row means."""

from typing import NamedTuple


class Entry(NamedTuple):
    """The bytes of one row."""

    source: str
    """``file:line``, or ``file#entry`` where rows are not lines; both counted from 1."""
    raw: bytes | None
    """One JSON value; what the file has there, where ``problem`` is not empty; None where it is too long."""
    size: int
    """Bytes."""
    problem: str = ""
    """Why the file has no row there; empty where it has one."""
