"""Which versions of the data, and which models, saw some rows."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from evalsuite.core.errors import RatchetError
from evalsuite.core.yaml_file import parse_yaml
from evalsuite.gate.replay import read_record
from tasks.lineage.proof import SeenModel, SeenVersion
from tasks.lineage.versions import Objects, commits, files_in, git
from tasks.paths import ArtifactPaths
from tasks.prepare.record.trail import Trail, read_trail
from tasks.registry.champion import read_champion
from tasks.registry.ledger import Entry, Event, ledger_path, read_ledger


@dataclass
class Known:
    """One version of the data, before its rows are looked at."""

    trail_md5: str
    commits: list[str] = field(default_factory=list)
    methods: set[str] = field(default_factory=set)
    is_present: bool = False
    folder_md5: str = ""
    """DVC's name of data/prepared; empty where only a decision names the version."""


@dataclass(frozen=True)
class Judged:
    """A model that the gate judged, and the version of the data that it was trained on."""

    entry: Entry
    trail_md5: str
    was_promoted: bool
    is_champion: bool


@dataclass(frozen=True)
class Memory:
    """All that the project knows of its versions and models."""

    versions: dict[str, Known]
    models: list[Judged]
    unknown: list[str]


def remember(paths: ArtifactPaths, find: Objects) -> Memory:
    """Versions of every commit, of every decision, and the present one.

    Raises:
        UsageError: The registry is damaged.
    """
    versions: dict[str, Known] = {}
    unknown: list[str] = []
    present = json.loads(paths.data_report.read_text(encoding="utf-8")) if paths.data_report.is_file() else {}
    if md5 := present.get("trail_md5"):
        lock = paths.root / "dvc.lock"
        methods = _methods(lock.read_text(encoding="utf-8")) if lock.is_file() else set()
        versions[md5] = Known(md5, methods=methods, is_present=True)
    for commit in commits(paths):
        try:
            md5 = files_in(commit.folder_md5, find, commit.sha[:12]).get("trail.parquet")
        except RatchetError as error:
            unknown.append(str(error).partition(";")[0])
            continue
        if md5 is None:
            unknown.append(f"the data of {commit.sha[:12]} was prepared before rows' histories were kept")
            continue
        known = versions.setdefault(md5, Known(md5))
        known.commits.append(commit.sha)
        known.folder_md5 = commit.folder_md5
        known.methods |= _methods(git(paths.root, "show", f"{commit.sha}:./dvc.lock") or "")
    models, more = _judged(paths)
    for model in models:
        versions.setdefault(model.trail_md5, Known(model.trail_md5))
    return Memory(versions, models, list(dict.fromkeys([*unknown, *more])))


def _judged(paths: ArtifactPaths) -> tuple[list[Judged], list[str]]:
    entries = read_ledger(ledger_path(paths))
    champion = read_champion(paths)
    promoted = {entry.identity for entry in entries if entry.event is Event.PROMOTE}
    models, unknown = [], []
    for entry in entries:
        if entry.event is not Event.VERDICT or entry.decision_id is None:
            continue
        try:
            run = read_record(paths.stored_decision(entry.decision_id)).run
        except RatchetError:
            run = None
        md5 = run.data.trail_md5 if run is not None and run.data is not None else ""
        if md5:
            is_champion = champion is not None and champion.identity == entry.identity
            models.append(Judged(entry, md5, entry.identity in promoted, is_champion))
        else:
            unknown.append(
                f"{entry.candidate} {entry.identity[:16]} (decision {entry.decision_id[:16]}): its run kept no history "
                "of its rows"
            )
    return models, unknown


def _methods(lock: str) -> set[str]:
    """Methods that a dvc.lock says were trained."""
    try:
        stages = parse_yaml(lock, "dvc.lock")["stages"]
    except (RatchetError, KeyError, TypeError):
        return set()
    return {name.removeprefix("train@") for name in stages if name.startswith("train@")}


def seen(
    contents: frozenset[str], memory: Memory, paths: ArtifactPaths, find: Objects
) -> tuple[list[SeenVersion], list[SeenModel], list[str]]:
    """The versions and models that have rows of these contents, and what could not be looked at."""
    versions: dict[str, SeenVersion] = {}
    unknown = list(memory.unknown)
    for md5, known in memory.versions.items():
        path = paths.trail if known.is_present else find(md5)
        if path is None:
            where = ", ".join(sha[:12] for sha in known.commits) or f"trail {md5[:12]}"
            unknown.append(f"the data of {where} is neither in DVC's cache nor in its remote")
            continue
        trained, dev, out = sides_of(read_trail(path), contents)
        if trained or dev or out:
            versions[md5] = SeenVersion(
                trail_md5=md5,
                commits=tuple(known.commits),
                is_present=known.is_present,
                methods=tuple(sorted(known.methods)),
                num_trained=trained,
                num_dev=dev,
                num_left_out=out,
            )
    models = [
        SeenModel(
            method=model.entry.candidate,
            identity=model.entry.identity,
            decision_id=model.entry.decision_id or "",
            verdict=model.entry.verdict or "",
            recorded_at=model.entry.recorded_at,
            was_promoted=model.was_promoted,
            is_champion=model.is_champion,
            num_trained=versions[model.trail_md5].num_trained,
        )
        for model in memory.models
        if model.trail_md5 in versions and versions[model.trail_md5].num_trained
    ]
    return list(versions.values()), models, unknown


def sides_of(trail: Trail, contents: Iterable[str]) -> tuple[int, int, int]:
    """How many rows of these contents are on train, on dev, and on neither side."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array([bytes.fromhex(each) for each in contents], trail.table.schema.field("content").type)
    sides = trail.table["side"].filter(pc.is_in(trail.table["content"], value_set=wanted)).to_pylist()
    return sides.count("train"), sides.count("dev"), sides.count(None)


def earlier_rows(known: Known, find: Objects) -> Iterator[tuple[str, bytes, Trail]]:
    """Side and line of every row of an earlier version, with its history; nothing where DVC has lost it."""
    if not known.folder_md5:
        return
    try:
        files = files_in(known.folder_md5, find, known.folder_md5[:12])
    except RatchetError:
        return
    path = find(known.trail_md5)
    if path is None:
        return
    trail = read_trail(path)
    for side in ("train", "dev"):
        rows = find(files.get(f"{side}.jsonl", ""))
        for line in _lines(rows) if rows is not None else ():
            yield side, line, trail


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from stream
