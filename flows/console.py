"""The terminal."""

import sys

from rich.console import Console

PIPE_COLUMNS = 240
"""Width of a table that is piped into a file: nothing in it is wrapped."""


def console() -> Console:
    """Of stdout; wide enough for a table where it is piped. ``:guard:`` in a rule's name is no emoji."""
    return Console(soft_wrap=True, highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
