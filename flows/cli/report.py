"""``ratchet report``: what reviewers read."""

from typing import Annotated

import typer

from evalsuite.core.errors import UsageError
from flows.cli.project import project_root

report_app = typer.Typer(no_args_is_help=True, help="What reviewers read.")


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
