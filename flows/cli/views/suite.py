"""One suite's result on the terminal."""

from pathlib import Path

from evalsuite.items.results import SuiteSummary
from flows.cli.views.console import console, escape, table


def show_suite(model: str, summary: SuiteSummary, folder: Path) -> None:
    """One suite's means with n, unscored and standard error, how the model's answers ended, and where the items are."""
    found = table("metric", "n", "unscored", "mean", "standard error")
    for metric in summary.metrics:
        mean = "-" if metric.mean is None else f"{metric.mean:.4f}"
        stderr = "-" if metric.stderr is None else f"{metric.stderr:.4f}"
        found.add_row(escape(metric.metric), str(metric.n), str(metric.unscored), mean, stderr)
    answers = summary.answers
    out = console()
    out.print(f"{escape(model)} {escape(summary.suite)}: {summary.num_items} items, {summary.seconds:.1f} s")
    out.print(found)
    out.print(
        f"answers: {answers.num_asked}, {answers.num_cached} of them cached, {answers.num_cut} cut at the token limit, "
        f"{answers.num_empty} empty, {answers.num_refused} unanswered (too long for the context, or no number)"
    )
    out.print(f"items: {escape(str(folder))}")
