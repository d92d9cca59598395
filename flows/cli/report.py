"""``ratchet report``: what reviewers read."""

from pathlib import Path
from typing import Annotated

import typer

from evalsuite.core.errors import UsageError
from flows.cli.project import check_own_file, project_root

report_app = typer.Typer(invoke_without_command=True, help="What reviewers read.")


@report_app.callback()
def report(
    context: typer.Context,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The verdict and why, for a comment on a pull request.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything that the report shows, as JSON.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="The JSON schema of --json; needs no project.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of printing.")] = None,
) -> None:
    """Print what the last run left, in another form than the page; `ratchet report open` shows the page.

    Results that changed since the decision are named at the top, and in a warning.
    """
    if context.invoked_subcommand is not None:
        if markdown or as_json or schema or out is not None:
            raise UsageError(f"`ratchet report {context.invoked_subcommand}` takes no form; leave the options out")
        return
    if markdown + as_json + schema != 1:
        raise UsageError("name one form: `ratchet report --markdown`, --json or --schema; or `ratchet report open`")
    from flows.cli.views.report import show_report, show_schema

    if out is not None:
        check_own_file(out)
    if schema:
        show_schema(out)
    else:
        out = out.absolute() if out else None  # finding the project changes the folder
        show_report(project_root(), "markdown" if markdown else "json", out)


@report_app.command("open")
def report_open(
    only_print: Annotated[bool, typer.Option("--print", help="Print the path and open nothing.")] = False,
) -> None:
    """Open the promotion report in the browser."""
    import webbrowser

    from evalsuite.core.errors import MissingArtifactError
    from tasks.paths import ArtifactPaths

    report = ArtifactPaths(project_root()).report.resolve()
    if not report.is_file():
        raise MissingArtifactError(f"no report at {report}; make it with `ratchet run`")
    from flows.cli.views.report import warn_of_another_decision

    warn_of_another_decision(ArtifactPaths(Path()))
    typer.echo(report)
    if not only_print and not webbrowser.open(report.as_uri()):
        raise UsageError(f"no browser found; open {report} yourself")


@report_app.command("items")
def report_items() -> None:
    """Write reports/items.html with every item that changed, for runs of which the report cannot hold all."""
    from evalsuite.core.files import write_text
    from evalsuite.report.build import build_item_pages, item_page_name
    from tasks.config.reading import read_params
    from tasks.paths import ArtifactPaths
    from tasks.stages.report import Sections, gather

    paths = ArtifactPaths(project_root())
    data = gather(read_params(paths.params, Sections), paths)
    number = 1
    for name, page in build_item_pages(data):
        write_text(paths.reports / name, page)
        number += 1
    while (earlier := paths.reports / item_page_name(number)).is_file():
        earlier.unlink()
        number += 1
    typer.echo(paths.reports / item_page_name(1))
