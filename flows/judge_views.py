"""Tables of ``ratchet judge``."""

from collections.abc import Sequence

from rich.table import Table

from evalsuite.judges.agreement import Agreement
from flows.console import console


def show_agreements(results: Sequence[Agreement]) -> None:
    """One row a judge, then agreement by category for each."""
    table = Table(title="agreement with the human majority")
    for column in ("judge", "agreement", "95% interval", "kappa", "n", "unscored", "note"):
        table.add_column(column)
    for result in results:
        table.add_row(
            result.judge,
            _figure(result.agreement),
            f"{_figure(result.lower)} to {_figure(result.upper)}",
            _figure(result.kappa),
            str(result.n),
            str(result.unscored),
            "always the same verdict" if result.constant else "",
        )
    out = console()
    out.print(table)
    by_category = Table(title="agreement by category (cases)")
    by_category.add_column("category")
    for result in results:
        by_category.add_column(result.judge)
    for name in sorted({name for result in results for name in result.by_category}):
        cells = [result.by_category.get(name) for result in results]
        by_category.add_row(name, *(f"{cell[0]:.2f} ({cell[1]})" if cell else "-" for cell in cells))
    out.print(by_category)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
