"""Local files that stand in for the hub datasets of lm-eval's tasks.

TASK/test.jsonl, and TASK/validation.jsonl for few-shot examples, in the public dataset's schema; manifest.json names
them all.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.core.files import numbered_objects, sha256_file
from evalsuite.suites.golden_set.items import FileEntry

SPLIT_FILES = {"test": "test.jsonl", "train": "test.jsonl", "validation": "validation.jsonl"}
"""Split that a task asks for -> local file; IFEval keeps its prompts in a split named train."""


def tasks_there(root: Path) -> list[str]:
    """Names of the tasks that have a test file, sorted."""
    return sorted(path.parent.name for path in root.glob("*/test.jsonl"))


def is_benchmark_root(folder: Path) -> bool:
    """Whether a folder holds tasks, and is no golden set itself."""
    own = any((folder / name).is_file() for name in ("dev.jsonl", "test.jsonl"))
    return bool(tasks_there(folder)) and not own


def root_entries(root: Path) -> dict[str, FileEntry]:
    """What the manifest says of each file, once its rows were read.

    Raises:
        UsageError: A file has no rows, or a line that is no JSON object.
    """
    names = [f"{task}/{name}" for task in tasks_there(root) for name in sorted(set(SPLIT_FILES.values()))]
    there = [name for name in names if (root / name).is_file()]
    return {name: FileEntry(sha256=sha256_file(root / name), n=len(read_rows(root / name))) for name in there}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """One JSON object a line; blank lines, CRLF and a byte order mark are let through.

    Raises:
        UsageError: A line is something else, or there is none; names its number.
    """
    rows = [row for _, row in numbered_objects(path, "a JSON object with the dataset's fields")]
    if not rows:
        raise UsageError(f"{path} has no rows; write one JSON object a line, with the public dataset's fields")
    return rows


def local_splits(folder: Path) -> Mapping[str, Any]:
    """A task's files as the splits that it asks for; read afresh, so a changed file is never a stale cache.

    Raises:
        UsageError: A file is malformed, or its rows give a field values of different types.
    """
    import pyarrow as pa
    from datasets import Dataset

    splits = {}
    for split, name in SPLIT_FILES.items():
        path = folder / name
        if path.is_file():
            try:
                splits[split] = Dataset.from_list(read_rows(path))
            except (pa.ArrowException, OverflowError) as error:
                reason = " ".join(str(error).split())[:200]
                raise UsageError(f"{path}: a field has values of different types ({reason}); fix the rows") from None
    return splits
