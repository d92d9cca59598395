"""What the command line prints."""

from evalsuite.gate.decision import Decision, Verdict, read_decision
from evalsuite.gate.rules import Outcome
from flows.cli.views.console import broken, console, escape, proven, table
from tasks.paths import ArtifactPaths

HISTORY_WIDTH = 120
"""Columns of the ledger's table; a narrower terminal gets two lines an entry."""
COLOURS = {Verdict.PROMOTE: "green", Verdict.REJECT: "red", Verdict.INCONCLUSIVE: "yellow"}


def show_decision(decision: Decision, num_reasons: int | None = None) -> None:
    """Verdict, headline, and the strongest reasons (all of them when no number is given)."""
    out = console()
    headline = decision.headline.removeprefix(f"{decision.verdict}: ")
    out.print(f"\n[bold {COLOURS[decision.verdict]}]{decision.verdict}[/]  {escape(headline)}")
    marks = {Outcome.PASS: proven(), Outcome.FAIL: broken(), Outcome.UNDECIDED: "?"}
    for number, reason in enumerate(decision.reasons[:num_reasons], 1):
        out.print(f"  {number}. {marks[reason.outcome]} {escape(reason.text)}")
    if num_reasons is not None and len(decision.reasons) > num_reasons:
        out.print(f"  the strongest {num_reasons} of {len(decision.reasons)} reasons; the report has all")
    for warning in decision.warnings:
        out.print(f"  [yellow]![/] {escape(warning)}")
    if decision.verdict is Verdict.INCONCLUSIVE:
        _show_more_items(decision)


def _show_more_items(decision: Decision) -> None:
    """How many more items would decide each whole-suite rule, if all that was measured stays as it is."""
    undecided = [each for each in decision.reasons if each.outcome is Outcome.UNDECIDED and each.slice is None]
    found = table("undecided rule", "n", "more items that would decide it")
    for each in undecided:
        if each.limit is not None:
            found.add_row(
                escape(each.rule),
                f"{each.n:,}",
                "no number" if each.more_items is None else f"about {each.more_items:,}",
            )
    if found.row_count:
        console().print(found)


def show_verdict(paths: ArtifactPaths) -> int:
    """The present decision with its three strongest reasons and the report's path.

    Returns:
        The verdict's exit code.
    """
    decision = read_decision(paths.decision, "ratchet run")
    show_decision(decision, 3)
    if paths.report.is_file():
        console().print(f"\nreport: {escape(str(paths.report.resolve()))}")
    return int(decision.verdict.exit_code)
