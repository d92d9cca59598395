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


@data_app.command("diff")
def data_diff(
    before: Annotated[str, typer.Argument(metavar="REV", help="A git revision: a commit, branch or tag.")],
    after: Annotated[
        str | None, typer.Argument(metavar="[REV2]", help="Another one; the present data when left out.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Rows of each kind that are listed.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Compare two versions of the prepared data row by row: added, removed, changed, decided otherwise, and why.

    The rows' histories come out of DVC's cache, or its remote. A row that only stands on another line is the same row.
    """
    from flows.cli.views.data import show_diff
    from tasks.lineage.difference import compare
    from tasks.lineage.versions import present_version, version_at
    from tasks.paths import ArtifactPaths

    paths = ArtifactPaths(project_root())
    old = version_at(before, paths)
    new = present_version(paths) if after is None else version_at(after, paths)
    show_diff(compare(old, new), rows, as_json)
