"""``ratchet inbox``: what people said of answers in production becomes training rows and candidate golden items."""

from pathlib import Path
from typing import Annotated

import typer

from evalsuite.core.errors import UsageError
from flows.cli.project import check_own_file, project_root

inbox_app = typer.Typer(no_args_is_help=True, help="Production records: sort them for review, take what was accepted.")
REVIEW = Path("data/inbox/review.jsonl")


@inbox_app.command("sort")
def inbox_sort(
    records: Annotated[
        Path, typer.Argument(help="Production records: JSON lines with id, prompt or messages, output.")
    ],
    review: Annotated[Path, typer.Option(help="Write the proposals here.")] = REVIEW,
    golden_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of questions that become candidate golden items.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws others.")] = 0,
    label_studio: Annotated[bool, typer.Option("--label-studio", help="Write tasks for Label Studio.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a review file that is there.")] = False,
) -> None:
    """Propose for each new record a side, training or golden set, and an answer, for a person to review."""
    from evalsuite.core.files import write_jsonl, write_text
    from evalsuite.core.terminal import printable
    from tasks.data.decontaminate import HeldOut
    from tasks.feedback.records import read_inbox
    from tasks.feedback.review import Choice, Side, as_label_studio, noted, propose
    from tasks.feedback.taking import read_known

    records, review = records.absolute(), review if review == REVIEW else review.absolute()
    root = project_root()
    if review != REVIEW:
        check_own_file(review)
    if review.exists() and not force:
        raise UsageError(
            f"{review} is there, and may hold decisions; take them with `ratchet inbox take {review}`, or replace it "
            "with --force"
        )
    found, bad = read_inbox(records)
    for each in bad:
        typer.secho(f"left out: {printable(each.where)}: {printable(each.reason)}", err=True)
    if not found:
        raise UsageError(f"{records} has no record that can be used; `ratchet help feedback` has an example")
    known = read_known(root)
    new = [record for record in found if record.id not in known.ids]
    proposals = noted(propose(new, known.sides, golden_share, seed), HeldOut(root / "golden_sets"))
    review.parent.mkdir(parents=True, exist_ok=True)
    if label_studio:
        import json

        write_text(review, json.dumps(as_label_studio(proposals), ensure_ascii=False, indent=1) + "\n")
    else:
        write_jsonl(review, [proposal.model_dump(mode="json") for proposal in proposals])
    sides = {side: sum(proposal.side is side for proposal in proposals) for side in Side}
    unanswered = sum(not proposal.answer.strip() for proposal in proposals)
    typer.echo(
        f"{len(found)} records, {len(bad)} left out, {len(found) - len(new)} decided before; to review: "
        f"{sides[Side.TRAIN]} for training, {sides[Side.GOLDEN]} for the golden set, {unanswered} of them without an "
        "answer"
    )
    if held_out := sum(proposal.decision is Choice.REJECT for proposal in proposals):
        typer.echo(
            f"  {held_out} for training ask what a held-out item asks, and are set to reject; note names the item"
        )
    typer.echo(f"set decision to accept or reject in {review}, then `ratchet inbox take {review}`")


@inbox_app.command("take")
def inbox_take(
    review: Annotated[
        Path, typer.Argument(help="The reviewed file, or an export of Argilla or Label Studio.")
    ] = REVIEW,
    metric: Annotated[str, typer.Option(help="How a candidate golden item is scored.")] = "exact_match",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and count, and write nothing.")] = False,
) -> None:
    """Append what was accepted to data/raw/feedback.jsonl and golden_sets/candidates/feedback.jsonl, or nothing."""
    from tasks.config.params import load_params
    from tasks.feedback.review import read_review
    from tasks.feedback.taking import ITEMS, ROWS, take
    from tasks.paths import ArtifactPaths
    from tasks.prepare.inputs.source_files import files_there

    review = review if review == REVIEW else review.absolute()
    paths = ArtifactPaths(project_root())
    prepare = load_params(paths.params).prepare
    taken = take(read_review(review), paths, prepare, metric, dry_run)
    would = "would be " if dry_run else ""
    typer.echo(
        f"{taken.rows} rows {would}taken for training, {taken.items} candidate golden items, "
        f"{taken.rejected} rejected, {taken.undecided} undecided"
    )
    if taken.undecided and not (taken.rows or taken.items or taken.rejected):
        typer.echo(f"  nothing is decided yet: set decision to accept or reject in {review}")
    if taken.rows and not dry_run:
        named = str(ROWS) in [file.name for file in files_there(prepare, paths.root)]
        typer.echo(f"  {ROWS}: " + ("`ratchet run` trains on it" if named else "name it in prepare.sources"))
    if taken.items and not dry_run:
        typer.echo(f"  {ITEMS}: move items into a set's test.jsonl or dev.jsonl, then `ratchet golden check`")
