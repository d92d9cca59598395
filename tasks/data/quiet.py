"""Reasons of bad rows that quote nothing of a row: what it holds may be personal."""

import re
from collections.abc import Iterable

QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
KEY = re.compile(r"['\"]?[a-z][a-z_]{0,39}['\"]?", re.ASCII)
"""A key that a program wrote, and no value: `user_agent`, `country`."""
HIDDEN = "'...'"


def quiet(reason: str, unknown: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """A bad row's reason and unknown keys without its values, and without keys that look like values.

    Args:
        reason: Why the row is bad; what is quoted in it comes from the row.
        unknown: Its keys that nobody knows.
    """
    shown = {repr(key) for key in unknown if KEY.fullmatch(key)}
    return QUOTED.sub(lambda quoted: quoted[0] if quoted[0] in shown else HIDDEN, reason), quiet_keys(unknown)


def quiet_keys(keys: Iterable[str]) -> tuple[str, ...]:
    """Keys without those that look like values."""
    return tuple(dict.fromkeys(key if KEY.fullmatch(key) else "..." for key in keys))
