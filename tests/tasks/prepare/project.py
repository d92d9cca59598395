"""A project with a tiny base model and a golden item, for the tests of preparation and of what follows it."""

import json
import shutil
from pathlib import Path
from typing import Any

from tasks.config.prepare import PrepareParams
from tasks.paths import ArtifactPaths

GOLDEN = "Where is row three?"


def new_project(root: Path, model: Path) -> ArtifactPaths:
    """A project in ``root``."""
    paths = ArtifactPaths(root)
    shutil.copytree(model, paths.export("base"))
    (root / "data/raw").mkdir(parents=True)
    (root / "golden_sets/g").mkdir(parents=True)
    item = {"id": "t1", "messages": [{"role": "user", "content": GOLDEN}]}
    (root / "golden_sets/g/test.jsonl").write_text(json.dumps(item) + "\n")
    return paths


def write_rows(paths: ArtifactPaths, rows: list[Any], name: str = "rows.jsonl") -> PrepareParams:
    """Rows in a file of data/raw, and settings that read it."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (paths.root / "data/raw" / name).write_text("".join(line + "\n" for line in lines))
    return PrepareParams(sources=(f"data/raw/{name}",), dev_fraction=0.2, max_bad_fraction=0.5)


def pairs(count: int) -> list[dict[str, str]]:
    """Rows that differ."""
    return [{"prompt": f"question {number}", "completion": f"answer {number}"} for number in range(count)]
