"""data/prepared, whole or as it was before."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from evalsuite.core.errors import StageError
from evalsuite.core.files import write_json
from tasks.data.formats import Row
from tasks.objectives.find import find_objective
from tasks.prepare.rows import content
from tasks.prepare.splits import Side
from tasks.prepare.steps import StepInputs


def write(
    target: Path,
    sides: Mapping[str, Side],
    report: dict[str, Any],
    given: StepInputs,
    beside: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write a file for each side and, last, report.json; the old folder stands until the new one is whole.

    Args:
        target: data/prepared.
        sides: Rows of train and dev.
        report: What report.json says.
        given: What the rows are for.
        beside: Writes what else belongs into the folder, and may add to ``report``.

    Raises:
        StageError: A side has no rows.
    """
    for name, side in sides.items():
        if not side.places:
            change = "raise" if name == "dev" else "lower"
            raise StageError(f"no rows are left for {name}; {change} prepare.dev_fraction or give more rows")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".prepared-") as temporary:
        folder = Path(temporary) / "prepared"
        folder.mkdir()
        for name, side in sides.items():
            _write_side(folder / f"{name}.jsonl", side, given)
        beside(folder)
        write_json(folder / "report.json", report)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)


def _write_side(path: Path, side: Side, given: StepInputs) -> None:
    """A line for each row, the number of its tokens last."""
    lines = given.each(partial(_lines, given.params.objective), side.rows)
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for line, lengths in zip(lines, side.lengths, strict=True):
            stream.write(f'{line[:-1]}, "num_tokens": {max(lengths)}}}\n')


def _lines(objective: str, rows: Sequence[Row]) -> list[str]:
    """Id and content of each row as JSON."""
    learns = find_objective(objective)
    return [json.dumps({"id": row.row_id, **content(row, learns)}, allow_nan=False, ensure_ascii=False) for row in rows]
