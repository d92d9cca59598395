"""``ratchet data``: what became of training rows."""

from typing import Annotated

import typer

from flows.cli.project import project_root

data_app = typer.Typer(no_args_is_help=True, help="Training rows: where one came from, and what became of it.")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@data_app.command("show")
def data_show(
    row: Annotated[str, typer.Argument(metavar="ROW", help="A row's id, or FILE:LINE as reports name it.")],
    as_json: AsJson = False,
) -> None:
    """Show where a row came from, what each step of preparation did to it, and its text before and after.

    Texts that may hold personal data are withheld: the page says where they stand.
    """
    from flows.cli.views.data import show_histories
    from tasks.config.params import load_params
    from tasks.lineage.history import histories
    from tasks.paths import ArtifactPaths

    paths = ArtifactPaths(project_root())
    show_histories(histories(row, load_params(paths.params).prepare, paths), as_json)
