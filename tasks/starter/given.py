"""What a user has already: rows and a golden set, looked at before anything is made of them."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.suites.golden_set.items import GoldenItem, read_golden_items
from tasks.config.prepare import PrepareParams
from tasks.data.formats import BadRow, Row, read_rows
from tasks.data.keys import ignore_advice
from tasks.prepare.rows import row_rules

SPLITS = ("dev", "test")


class FoundRows(NamedTuple):
    """What a file of rows holds."""

    path: Path
    formats: dict[str, int]
    """Format -> rows that can be trained on."""
    bad: tuple[str, ...]
    """``file:line: reason`` of each row that cannot."""
    remedy: str
    """The line of params.yaml that reads rows with unknown keys; empty where there are none."""


class FoundGolden(NamedTuple):
    """What a golden set holds."""

    folder: Path
    num_items: dict[str, int]
    """Split -> items."""
    metric: str
    """The one that most items of both splits ask for."""


def look_at_rows(path: Path) -> FoundRows:
    """Read every row of a file as ``prepare`` will.

    Raises:
        UsageError: It has another format, or no line of params.yaml would make a row of it one that can be trained on.
    """
    if not path.is_file():
        what = "is a folder, expected a file of rows" if path.is_dir() else "is not there"
        raise UsageError(f"--data: {path} {what}; name a file of JSON lines or a JSON array")
    formats: Counter[str] = Counter()
    bad: list[BadRow] = []
    for row in read_rows(path, path.name, row_rules(PrepareParams(sources=(str(path),)))):
        if isinstance(row, Row):
            formats[row.format] += 1
        else:
            bad.append(row)
    unknown = {key for row in bad for key in row.unknown}
    if not formats and not unknown:  # a line of params.yaml helps where keys are unknown
        reason = f"{bad[0].source}: {bad[0].reason}" if bad else "it is empty"
        raise UsageError(f"--data: no row of {path} can be trained on; {reason}; fix the file, then run init again")
    return FoundRows(
        path,
        dict(formats.most_common()),
        tuple(f"{row.source}: {row.reason}" for row in bad),
        ignore_advice(unknown, ()) if unknown else "",
    )


def look_at_golden(folder: Path) -> FoundGolden:
    """Read every item of both splits.

    Raises:
        UsageError: A split is absent, an item is malformed, or no metric is asked for in both.
    """
    if folder.is_file():
        raise UsageError(f"--golden: {folder} is a file; name its folder: `--golden {folder.parent}`")
    items: dict[str, tuple[GoldenItem, ...]] = {}
    for split in SPLITS:
        path = folder / f"{split}.jsonl"
        if not path.is_file():
            raise UsageError(
                f"--golden: no file {path}; a golden set is a folder with dev.jsonl, which selects epochs, and "
                "test.jsonl, by which the gate judges"
            )
        items[split] = read_golden_items(path, "then run init again")
        if not items[split]:
            raise UsageError(f"--golden: {path} has no items; write some, or leave --golden out for an empty set")
    shared = sorted({item.id for item in items["dev"]} & {item.id for item in items["test"]})
    if shared:
        raise UsageError(
            f"--golden: item {shared[0]!r} is in dev.jsonl and in test.jsonl of {folder} (one of {len(shared)}); dev "
            "items choose the epoch and test items judge, so keep each item in one of them"
        )
    asked = {split: Counter(metric for item in found for metric in item.all_metrics) for split, found in items.items()}
    both = [metric for metric, _ in asked["test"].most_common() if metric in asked["dev"]]
    if not both:
        said = " and ".join(f"{', '.join(counts)} in {split}.jsonl" for split, counts in asked.items())
        raise UsageError(f"--golden: {folder} asks for {said}; give some items of both files the same metric")
    return FoundGolden(folder, {split: len(found) for split, found in items.items()}, both[0])
