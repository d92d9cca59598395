"""data/prepared, whole or as it was before."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalsuite.core.errors import StageError
from evalsuite.core.files import write_json, write_jsonl
from tasks.objectives.objective import Objective
from tasks.prepare.inputs.quarantine import QUARANTINE
from tasks.prepare.rows import content
from tasks.prepare.splits import Side


def write(
    target: Path, sides: Mapping[str, Side], report: dict[str, Any], objective: Objective, quarantine: Path
) -> None:
    """Write a file for each side and, last, report.json; the old folder stands until the new one is whole.

    Bad rows come with them where the file ``quarantine`` is there.

    Raises:
        StageError: A side has no rows.
    """
    for name, side in sides.items():
        if not side.rows:
            raise StageError(f"no rows are left for {name}; lower prepare.dev_fraction or give more rows")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".prepared-") as temporary:
        folder = Path(temporary) / "prepared"
        for name, side in sides.items():
            entries = [
                {"id": row.row_id, **content(row, objective), "num_tokens": max(lengths)}
                for row, lengths in zip(side.rows, side.lengths, strict=True)
            ]
            write_jsonl(folder / f"{name}.jsonl", entries)
        if quarantine.is_file():
            shutil.move(quarantine, folder / QUARANTINE)
        write_json(folder / "report.json", report)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
