"""Text in Markdown: nothing of what is shown comes alive; and the verdict in a few lines, for Prefect."""

import re
from collections.abc import Sequence
from pathlib import Path

from evalsuite.comparison.rows import Comparison
from evalsuite.gate.decision import Decision
from evalsuite.gate.rules import Outcome
from evalsuite.report.build import strongest
from evalsuite.report.text import visible

SYMBOLS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.UNDECIDED: "❔"}
_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line: no markup, link, HTML or hidden character comes alive."""
    flat = visible(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    quiet = _SPECIAL.sub(r"\\\1", flat)
    # GitHub's and the hub's Markdown turn bare addresses into links.
    return quiet.replace("://", "\\://").replace("www.", "www\\.").replace("@", "&#64;")


def markdown_summary(decision: Decision, comparison: Comparison, report: Path | None = None) -> str:
    """The verdict, the strongest reasons and why this candidate, for an artifact or a closing message."""
    lines = [
        f"# {decision.verdict}: {escaped(decision.candidate)}",
        "",
        escaped(decision.headline.removeprefix(f"{decision.verdict}: ")),
        "",
        *(f"{i}. {SYMBOLS[reason.outcome]} {escaped(reason.text)}" for i, reason in enumerate(strongest(decision), 1)),
        *(["", *(f"⚠️ {escaped(warning)}" for warning in decision.warnings)] if decision.warnings else []),
        "",
        f"Candidate: {escaped(comparison.chosen_because)}",
        "",
        f"Decision `{decision.decision_id[:16]}`",
    ]
    if report is not None:
        lines += ["", f"Report: {escaped(str(report))}"]
    return "\n".join(lines) + "\n"


def markdown_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
