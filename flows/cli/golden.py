"""``ratchet golden``: make, check and describe a golden set."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from evalsuite.core.errors import ExitCode

golden_app = typer.Typer(no_args_is_help=True, help="Golden sets: make, check, describe.")
SetFolder = Annotated[Path, typer.Argument(metavar="SET", help="The set's folder, such as golden_sets/support.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@golden_app.command("new")
def golden_new(folder: SetFolder) -> None:
    """Write manifest and card for the dev.jsonl and test.jsonl in SET, or example items where it has neither.

    For a folder with TASK/test.jsonl of lm-eval's tasks, write the manifest alone.
    """
    from evalsuite.suites.golden_set.check import SPLITS, new_set
    from evalsuite.suites.lm_eval.benchmark_root import is_benchmark_root, tasks_there

    written = new_set(folder)
    typer.echo(f"{folder}: wrote {', '.join(written)}")
    if is_benchmark_root(folder):
        typer.echo(f"tasks: {', '.join(tasks_there(folder))}; name the folder in evaluation.harness.data_root")
        typer.echo("give licence and source in manifest.json; after a change of the files")
    elif "test.jsonl" in written:
        typer.echo("replace the example items; give licence and source in manifest.json; then")
    else:
        absent = [f"{split}.jsonl" for split in SPLITS if not (folder / f"{split}.jsonl").is_file()]
        missing = (
            f"write {absent[0]} ({'selects epochs' if 'dev' in absent[0] else 'the gate judges by it'}); "
            if absent
            else ""
        )
        typer.echo(f"{missing}give licence and source in manifest.json; then")
    typer.echo(f"  ratchet golden check {shlex.quote(str(folder))} --new-version 1.0.0")


@golden_app.command("check")
def golden_check(
    folder: SetFolder,
    new_version: Annotated[
        Optional[str],  # noqa: UP045  typer
        typer.Option(help="First record the current files in the manifest, under this version."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find duplicates, near-duplicates across dev and test, and metrics out of reach; exit with 2 if it finds any."""
    from evalsuite.suites.golden_set.check import check_set, write_manifest_version

    if new_version is not None:
        write_manifest_version(folder, new_version)
    problems = check_set(folder)
    if as_json:
        _print_json({"schema_version": 1, "problems": [problem._asdict() for problem in problems]})
    else:
        from evalsuite.report.text import visible
        from flows.cli.views.console import broken

        for problem in problems:
            typer.echo(f"{broken() if problem.serious else '!'} {visible(problem.text)}")
    serious = sum(problem.serious for problem in problems)
    if not as_json:
        typer.echo(f"{folder}: {serious} problems, {len(problems) - serious} remarks")
    if serious:
        raise typer.Exit(int(ExitCode.USAGE))


@golden_app.command("stats")
def golden_stats(folder: SetFolder, as_json: AsJson = False) -> None:
    """Show items, slices, metrics, must-pass items and lengths of each split."""
    from evalsuite.suites.golden_set.check import describe_set

    stats = describe_set(folder)
    if as_json:
        _print_json(stats)
        return
    for split, found in stats.items():
        if isinstance(found, dict):
            typer.echo(f"{split}: {found.pop('items')} items")
            for name, value in found.items():
                typer.echo(f"  {name}: {_brief(value)}")


def _brief(value: Any) -> str:
    if not isinstance(value, dict):
        return f"{value:g}" if isinstance(value, float) else str(value)
    parts = [
        f"{key} ({_brief(inner)})" if isinstance(inner, dict) else f"{key} {inner}" for key, inner in value.items()
    ]
    return ", ".join(parts) or "none"


def _print_json(value: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
