"""The terminal."""

import sys
from collections.abc import Container

from rich import markup
from rich.console import Console
from rich.table import Table

from evalsuite.core.terminal import mark, printable
from evalsuite.report.text import visible

PIPE_COLUMNS = 240
"""Width of a table that is piped into a file: nothing in it is wrapped."""


def console() -> Console:
    """The console of stdout: wide enough for a table where it is piped; ``:guard:`` in a rule's name is no emoji."""
    return Console(soft_wrap=True, highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def table(*heads: str, right: Container[str] = (), title: str | None = None) -> Table:
    """A table without rules, whose cells are folded where the terminal is narrow: no name and no number is ever cut.

    Args:
        *heads: Heads of the columns.
        right: Those of them that hold numbers.
        title: Above the table.
    """
    new = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for head in heads:
        new.add_column(head, justify="right" if head in right else "left", overflow="fold")
    return new


def escape(text: str) -> str:
    """Untrusted text for the terminal: no markup of rich's, and no control character that could repaint a verdict."""
    return markup.escape(printable(visible(text)))


def proven() -> str:
    """The mark of what holds."""
    return mark("\N{CHECK MARK}", "ok")


def broken() -> str:
    """The mark of what is wrong."""
    return mark("\N{BALLOT X}", "FAIL")
