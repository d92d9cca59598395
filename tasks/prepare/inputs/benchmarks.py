"""Benchmarks of a hub whose items no training row may ask: the stage ``inputs`` names and fetches them.

Those that are files of the project lie below golden_sets and data/suites, and are read there. Of the others
plans/inputs/prepare.json, which DVC watches, says which split at which commit a suite judges by, so that this stage
needs to know nothing of suites and its rows change with the commit.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evalsuite.core.errors import RatchetError
from evalsuite.core.files import parse_json, read_json
from tasks.config.prepare import HUB, HUB_SOURCE, HubSource
from tasks.data.decontaminate import HeldOut
from tasks.data.files.reading import read_entries
from tasks.data.held_out_items import named_questions
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.hub_files import hub_files

logger = logging.getLogger(__name__)

UNREAD = "suite "
"""How a key of plans/inputs/prepare.json begins that names a suite whose items cannot be read; its value says why."""


class Benchmarks(NamedTuple):
    """What is known of them when rows are prepared."""

    questions: list[tuple[str, str]]
    """(``file#id`` of the item, its question)."""
    read: dict[str, int]
    """Suite -> questions."""
    unread: dict[str, str]
    """Suite -> why its items are not looked for."""

    def __str__(self) -> str:
        """One line for the log; empty where no benchmark is in use that lies elsewhere."""
        found = ", ".join(f"{name} ({number:,} questions)" for name, number in self.read.items())
        left = "; ".join(f"{name} ({why})" for name, why in self.unread.items())
        parts = [f"items of {found} are looked for, from the hub's files on this machine"] if found else []
        if left:
            parts.append(
                f"NOT looked for: {left}; the stage contamination looks for each of their items in the rows that were "
                "trained on"
            )
        return "; ".join(parts)


def held_out_of(paths: ArtifactPaths, folders: Sequence[str], share: float | None) -> HeldOut:
    """Every item that no row may ask: those of files below ``folders``, and of benchmarks."""
    return HeldOut(paths.root, folders, share, benchmarks_in_use(paths).questions)


def say_benchmarks(paths: ArtifactPaths) -> None:
    """Tell the log which benchmarks are looked for, and which are not."""
    if line := str(benchmarks_in_use(paths)):
        logger.info("prepare step held_out: %s", line)


def benchmarks_in_use(paths: ArtifactPaths) -> Benchmarks:
    """Read the items of every benchmark in use that lies on this machine and not in the project."""
    found = Benchmarks([], {}, {})
    for key, value in _named(paths).items():
        if key.startswith(UNREAD):
            found.unread[key.removeprefix(UNREAD)] = value
            continue
        source = HUB_SOURCE.fullmatch(key)
        if source is None:
            continue
        try:
            asked = list(_questions(HubSource(*source.group("name", "revision", "config", "split"))))
        except RatchetError as error:
            found.unread[value] = str(error)
            continue
        if asked:
            found.questions.extend(asked)
            found.read[value] = found.read.get(value, 0) + len(asked)
        else:
            found.unread[value] = f"{key} is not on this machine: `ratchet stage inputs` fetches it"
    return found


def _named(paths: ArtifactPaths) -> Mapping[str, str]:
    try:
        data: Any = read_json(paths.inputs("prepare"), "ratchet stage inputs")
    except RatchetError:
        return {f"{UNREAD}benchmarks of a hub": "`ratchet stage inputs`, which names them, has not run"}
    inputs = data.get("inputs") if isinstance(data, dict) else None
    given = inputs if isinstance(inputs, dict) else {}
    return {key: str(value) for key, value in given.items() if key.startswith((HUB, UNREAD))}


def _questions(source: HubSource) -> Iterator[tuple[str, str]]:
    for name, path in hub_files(source, fetch=False):
        rows = (parse_json(entry.raw) for entry in read_entries(path, name, None) if entry.raw and not entry.problem)
        objects = ((number, row) for number, row in enumerate(rows, 1) if isinstance(row, dict))
        yield from named_questions(name, objects)
