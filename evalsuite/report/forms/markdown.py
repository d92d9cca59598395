"""The verdict in a few lines of Markdown, for Prefect."""

from pathlib import Path

from evalsuite.comparison.rows import Comparison
from evalsuite.gate.decision import Decision
from evalsuite.gate.rules import Outcome
from evalsuite.report.build import strongest
from evalsuite.report.markdown_text import escaped

SYMBOLS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.UNDECIDED: "❔"}


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
