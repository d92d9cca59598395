"""``ratchet help``: the pages that messages name, where a project has no docs folder and nobody a network."""

from pathlib import Path
from typing import Annotated

import typer

from evalsuite.core.errors import UsageError
from evalsuite.core.extensions import did_you_mean

PAGES = Path(__file__).parent


def show_page(
    page: Annotated[
        str, typer.Argument(help="Name of a page; all names are listed without it.", show_default=False)
    ] = "",
) -> None:
    """Print a page of the documentation: training rows, golden sets, settings, suites, feedback."""
    there = {path.stem: path for path in sorted(PAGES.glob("*.md"))}
    if not page:
        for name, path in there.items():
            typer.echo(f"ratchet help {name:<12}  {title_of(path)}")
    elif page in there:
        typer.echo(there[page].read_text(encoding="utf-8"))
    else:
        hint = did_you_mean(page, there)
        raise UsageError(
            f"no page {page!r}; {hint}pages: {', '.join(there)}. `ratchet COMMAND --help` explains a command"
        )


def title_of(path: Path) -> str:
    """A page's first heading."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix("# ") for line in lines if line.startswith("# ")), path.stem)
