"""``ratchet judge``: how far judges agree with people."""

from pathlib import Path
from typing import Annotated

import typer

judge_app = typer.Typer(no_args_is_help=True, help="Measure the judges that suites rely on.")


@judge_app.command("check")
def judge_check(
    labels: Annotated[Path, typer.Option(help="HarmBench's labelled completions (JSON) or XSTest's (CSV).")],
    judge: Annotated[str | None, typer.Option(help="One judge; by default all that can run here.")] = None,
    behaviours: Annotated[
        Path | None, typer.Option(help="HarmBench's behaviours file; by default the one beside the labels.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="For judge chat: the server, such as http://127.0.0.1:8000/v1.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="For judges chat and harmbench: the model.")] = None,
    revision: Annotated[str | None, typer.Option(help="For judge harmbench: commit of the hub repository.")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Save this judge's verdicts beside people's, for calibration in params.yaml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per judge.")] = False,
) -> None:
    """Measure agreement with the human majority, Cohen's kappa, and agreement by category; prints no judged text."""
    from evalsuite.judge_tools.check import check_judges
    from evalsuite.judges.settings import JudgeSettings
    from tasks.logs import start_logging

    start_logging()
    settings = JudgeSettings(model=model, revision=revision, base_url=base_url)
    results = check_judges(labels, judge, behaviours, settings, save)
    if as_json:
        for result in results:
            typer.echo(result.model_dump_json())
        return
    from flows.cli.views.judge import show_agreements

    show_agreements(results)
