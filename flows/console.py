"""The terminal."""

import sys

from rich import markup
from rich.console import Console

from evalsuite.report.text import visible
from evalsuite.terminal import mark, printable

PIPE_COLUMNS = 240
"""Width of a table that is piped into a file: nothing in it is wrapped."""


def console() -> Console:
    """Of stdout; wide enough for a table where it is piped. ``:guard:`` in a rule's name is no emoji."""
    return Console(soft_wrap=True, highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def escape(text: str) -> str:
    """Untrusted text for the terminal: no markup of rich's, and no control character that could repaint a verdict."""
    return markup.escape(printable(visible(text)))


def proven() -> str:
    """The mark of what holds."""
    return mark("\N{CHECK MARK}", "ok")


def broken() -> str:
    """The mark of what is wrong."""
    return mark("\N{BALLOT X}", "FAIL")
