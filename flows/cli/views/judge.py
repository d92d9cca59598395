"""What ``ratchet judge check`` prints: judges are numbered, so that every table fits 80 columns."""

from collections.abc import Sequence

from evalsuite.judge_tools.agreement import Agreement
from flows.cli.views.console import console, escape, table

PER_TABLE = 6
"""Judges beside each other in a table of categories."""
NAME_WIDTH, CATEGORY_WIDTH = 26, 30
"""Columns, which leave room for the figures; a longer name is folded."""


def show_agreements(results: Sequence[Agreement]) -> None:
    """Print one row per judge, then agreement by category for each."""
    heads = ("agreement", "95% interval", "kappa", "n", "unscored")
    found = table("", "judge", *heads, right=("", *heads), title="agreement with the human majority")
    found.columns[1].max_width = NAME_WIDTH
    for number, result in enumerate(results, 1):
        found.add_row(
            str(number),
            escape(result.judge),
            _figure(result.agreement),
            f"{_figure(result.lower)}-{_figure(result.upper)}",
            _figure(result.kappa),
            str(result.n),
            str(result.unscored),
        )
    out = console()
    out.print(found)
    for number, result in enumerate(results, 1):
        if result.constant:
            out.print(f"[yellow]![/] judge {number} gives every case the same verdict, so its agreement means nothing")
    for start in range(0, len(results), PER_TABLE):
        _show_categories(results, start)


def _show_categories(results: Sequence[Agreement], start: int) -> None:
    """Agreement by category of up to ``PER_TABLE`` judges, which keep their numbers."""
    shown = results[start : start + PER_TABLE]
    cases = {name: max(each.by_category.get(name, (0.0, 0))[1] for each in results) for name in _categories(results)}
    numbers = [str(number) for number in range(start + 1, start + len(shown) + 1)]
    title = "agreement by category; the columns are the judges' numbers"
    found = table("category", "cases", *numbers, right=("cases", *numbers), title=title)
    found.columns[0].max_width = CATEGORY_WIDTH
    partly = False
    for name, most in cases.items():
        cells = []
        for each in shown:
            share, count = each.by_category.get(name, (0.0, 0))
            fewer = "*" if 0 < count < most else ""
            partly = partly or bool(fewer)
            cells.append(f"{share:.2f}{fewer}" if count else "-")
        found.add_row(escape(name), str(most), *cells)
    out = console()
    out.print()
    out.print(found)
    if partly:
        out.print("* the judge has no verdict for some of the cases")


def _categories(results: Sequence[Agreement]) -> list[str]:
    return sorted({name for result in results for name in result.by_category})


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
