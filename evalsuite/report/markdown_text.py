"""Text in Markdown: nothing of what is shown comes alive."""

import re
from collections.abc import Sequence

from evalsuite.report.text import visible

_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line: no markup, link, HTML or hidden character comes alive."""
    flat = visible(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    quiet = _SPECIAL.sub(r"\\\1", flat)
    # GitHub's and the hub's Markdown turn bare addresses into links.
    return quiet.replace("://", "\\://").replace("www.", "www\\.").replace("@", "&#64;")


def markdown_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
