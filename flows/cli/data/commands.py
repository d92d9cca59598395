"""``ratchet data``: what became of training rows."""

from typing import Annotated

import typer

from evalsuite.core.errors import UsageError
from flows.cli.data.synthesis import data_synthesize
from flows.cli.project import project_root

data_app = typer.Typer(no_args_is_help=True, help="Training rows: where one came from, and what became of it.")
data_app.command("synthesize")(data_synthesize)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@data_app.command("open")
def data_open(
    only_print: Annotated[bool, typer.Option("--print", help="Print the path and open nothing.")] = False,
) -> None:
    """Open the page on the rows, data/prepared/report.html, in the browser."""
    import webbrowser

    from evalsuite.core.errors import MissingArtifactError
    from tasks.paths import ArtifactPaths

    page = (ArtifactPaths(project_root()).prepared / "report.html").resolve()
    if not page.is_file():
        raise MissingArtifactError(f"no page at {page}; make it with `ratchet stage prepare`")
    typer.echo(page)
    if not only_print and not webbrowser.open(page.as_uri()):
        raise UsageError(f"no browser found; open {page} yourself")


@data_app.command("show")
def data_show(
    row: Annotated[str, typer.Argument(metavar="ROW", help="A row's id, or FILE:LINE as reports name it.")],
    as_json: AsJson = False,
) -> None:
    """Show where a row came from, what each step of preparation did to it, and its text before and after.

    Texts that may hold personal data are withheld: the page says where they stand.
    """
    from flows.cli.data.rows import show_histories
    from tasks.config.params import load_params
    from tasks.lineage.history import histories
    from tasks.paths import ArtifactPaths

    paths = ArtifactPaths(project_root())
    show_histories(histories(row, load_params(paths.params).prepare, paths), as_json)


@data_app.command("diff")
def data_diff(
    before: Annotated[str, typer.Argument(metavar="REV", help="A git revision: a commit, branch or tag.")],
    after: Annotated[
        str | None, typer.Argument(metavar="REV2", help="Another one; the present data when left out.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Rows of each kind that are listed.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Compare two versions of the prepared data row by row: added, removed, changed, decided otherwise, and why.

    The rows' histories come out of DVC's cache, or its remote. A row that only stands on another line is the same row.
    """
    from flows.cli.data.rows import show_diff
    from tasks.lineage.difference import compare
    from tasks.lineage.versions import present_version, version_at
    from tasks.paths import ArtifactPaths

    paths = ArtifactPaths(project_root())
    old = version_at(before, paths)
    new = present_version(paths) if after is None else version_at(after, paths)
    show_diff(compare(old, new), rows, as_json)


@data_app.command("forget")
def data_forget(
    row: Annotated[
        str | None, typer.Argument(metavar="ROW", help="A row's id, FILE:LINE, or the hash of a row's content.")
    ] = None,
    match: Annotated[
        str | None, typer.Option("--match", help="Every row with this text; case and runs of blanks do not matter.")
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; it is committed, so name nobody who is to be forgotten.")
    ] = "",
    by: Annotated[str | None, typer.Option("--by", help="Who decided; by default the user who runs this.")] = None,
    alike: Annotated[
        bool, typer.Option("--alike", help="Also the rows that were dropped as like one of them.")
    ] = False,
    most: Annotated[int, typer.Option("--most", min=1, help="Refuse more different rows than this.")] = 100,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be forgotten, and write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Leave a row out of every later version of the data, and prove which versions and models saw it.

    Writes its hash, not its text, to data/forgotten.jsonl, which `ratchet stage prepare` honours, and the proof to
    registry/forgotten/. The row still stands in its source and in versions that DVC keeps: the command says where.
    """
    from flows.cli.data.forgotten import show_forgotten
    from tasks.config.params import load_params
    from tasks.lineage.forget import Asked, forget, user
    from tasks.paths import ArtifactPaths

    if (row is None) == (match is None):
        raise UsageError("name one: `ratchet data forget ROW --reason TEXT`, or --match TEXT instead of ROW")
    paths = ArtifactPaths(project_root())
    asked = Asked(row, match, reason, by or user(), most, alike)
    show_forgotten(*forget(asked, load_params(paths.params).prepare, paths, dry_run), as_json)


@data_app.command("forgotten")
def data_forgotten(as_json: AsJson = False) -> None:
    """List what was forgotten, who saw it, and whether the present data still has it; completes the proofs."""
    from flows.cli.data.forgotten import show_proofs
    from tasks.lineage.forget import prove
    from tasks.paths import ArtifactPaths

    show_proofs(prove(ArtifactPaths(project_root())), as_json)
