"""The report in other forms, on stdout or in a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from evalsuite.core.files import check_target, write_text

if TYPE_CHECKING:
    from tasks.paths import ArtifactPaths


def show_report(root: Path, form: Literal["markdown", "json"], out: Path | None) -> None:
    """Read what the run left and print it; results that changed since are told on stderr too.

    Raises:
        MissingArtifactError: No run has come as far as its decision.
        UsageError: A file is not what it should be, or ``out`` cannot be written.
    """
    from evalsuite.report import document_of, pull_request_markdown
    from evalsuite.report.forms.document import as_json
    from tasks.config.reading import read_params
    from tasks.paths import ArtifactPaths
    from tasks.stages.report import Sections, gather

    if out is not None:
        check_target(out)
    paths = ArtifactPaths(root)
    data = gather(read_params(paths.params, Sections), paths)
    document = document_of(data)
    if document.out_of_date:
        folders = ", ".join(document.facts.changed_results)
        typer.echo(
            f"warning: the results in {folders} changed since the decision; run `ratchet stage gate`, then `ratchet "
            "stage report`",
            err=True,
        )
    page = paths.report.relative_to(root).as_posix()
    _give(pull_request_markdown(data, page) if form == "markdown" else as_json(document), out)


def warn_of_another_decision(paths: "ArtifactPaths") -> None:
    """Say on stderr that the page tells another decision than reports/decision.json, where it does."""
    from evalsuite.gate.decision import read_decision

    if not paths.decision.is_file():
        return
    decision_id = read_decision(paths.decision, "ratchet run").decision_id
    if decision_id not in paths.report.read_text(encoding="utf-8"):
        typer.echo(
            f"warning: {paths.report} is about another decision than {paths.decision}; run `ratchet stage report`",
            err=True,
        )


def show_schema(out: Path | None) -> None:
    """The JSON schema of the JSON form."""
    from evalsuite.report.forms.document import report_schema

    _give(report_schema(), out)


def _give(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        typer.echo(out)
