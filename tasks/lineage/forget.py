"""Rows that are to be forgotten: found, listed so that no later version has them, and proven to be gone."""

import getpass
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.core.files import atomic_path, sha256_file, sha256_json, write_json
from evalsuite.core.text import as_written
from tasks.config.prepare import PrepareParams
from tasks.data.formats import Row, read_rows
from tasks.lineage.history import unknown_row
from tasks.lineage.proof import Gone, Proof, proof_folder, read_proofs
from tasks.lineage.seen import Known, earlier_rows, remember, seen, sides_of
from tasks.lineage.versions import Objects, objects
from tasks.objectives.find import find_objective
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.source_files import file_of
from tasks.prepare.record.content_hash import HASH_BYTES, content_hash
from tasks.prepare.record.forgotten import Forgotten, read_forgotten
from tasks.prepare.record.trail import Trail, read_trail
from tasks.prepare.rows import content, row_rules, texts_in
from tasks.registry.ledger import registry_lock

PREPARE = "ratchet stage prepare"
BESIDE = frozenset({"id", "num_tokens"})
"""What train.jsonl has beside what is learnt of a row."""
LEAST_CHARACTERS = 3
"""A shorter text would be found in most rows."""


@dataclass(frozen=True)
class Asked:
    """Which rows are to be forgotten, for whom, and why."""

    row: str | None
    """An id, ``FILE:LINE`` or the hash of a content."""
    match: str | None
    """A text that every row with it is to be forgotten for; it is kept nowhere."""
    why: str
    by: str
    most: int
    """More rows than this are refused."""
    alike: bool = False
    """Whether rows that were dropped as like one of them are forgotten too."""


@dataclass(frozen=True)
class Found:
    """The rows that were asked for."""

    contents: frozenset[str]
    sources: tuple[str, ...]
    """Where they stand in the sources now."""
    alike: tuple[str, ...]
    """Sources of other rows that were dropped as like one of them, and would take its place."""


def forget(
    asked: Asked, params: PrepareParams, paths: ArtifactPaths, dry_run: bool
) -> tuple[Proof, Found, Path | None]:
    """Find the rows and all that saw them; unless ``dry_run``, list them in data/forgotten.jsonl and write the proof.

    Returns:
        The proof, the rows, and where the proof was written; None on a dry run.

    Raises:
        MissingArtifactError: The rows were not prepared yet.
        UsageError: No row, or too many, were found, no reason was given, or the registry is damaged.
    """
    if not asked.why.strip() and not dry_run:
        raise UsageError("give the reason, which is kept with the proof: `ratchet data forget ROW --reason TEXT`")
    with objects(paths) as find:
        memory = remember(paths, find)
        found = _find(asked, memory.versions.values(), params, paths, find)
        if len(found.contents) > asked.most and not dry_run:
            raise UsageError(
                f"{len(found.contents):,} different rows were found, and --most allows {asked.most:,}; look at them "
                f"with --dry-run, then give a longer text, or `--most {len(found.contents)}`"
            )
        versions, models, unknown = seen(found.contents, memory, paths, find)
    proof = Proof(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        by=asked.by,
        why=" ".join(asked.why.split()),
        contents=tuple(sorted(found.contents)),
        sources=found.sources,
        versions=tuple(versions),
        models=tuple(models),
        unknown=tuple(unknown),
    )
    if dry_run:
        return proof, found, None
    with registry_lock(paths):
        _add(paths.forgotten, proof)
        name = f"{proof.when[:10]}-{sha256_json(proof.model_dump(mode='json'))[:8]}.json"
        write_json(proof_folder(paths) / name, proof)
    return proof, found, proof_folder(paths) / name


def user() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _find(asked: Asked, versions: Iterable[Known], params: PrepareParams, paths: ArtifactPaths, find: Objects) -> Found:
    trail = read_trail(paths.trail)
    if asked.match is not None:
        contents = _matching(asked.match, trail, versions, params, paths, find)
        if not contents:
            raise UsageError(
                "no row has that text, in the sources or in an earlier version of the data; case and runs of blanks do "
                "not matter, all else does; `ratchet data show ROW` shows a row as it was read"
            )
    else:
        contents = _named(asked.row or "", trail, paths)
    alike = _alike(contents, trail)
    if asked.alike:
        contents |= {content for content, _ in alike}
        alike = []
    return Found(frozenset(contents), tuple(trail.sources(contents)), tuple(source for _, source in alike))


def _named(wanted: str, trail: Trail, paths: ArtifactPaths) -> set[str]:
    """Contents of the rows of an id or at a place, or the content that a hash names."""
    rows = trail.find(wanted)
    contents = {row.content for row in rows if row.content}
    if rows and not contents:
        raise UsageError(f"{wanted} could not be read, so that no model saw it; remove it from {rows[0].source}")
    if not rows:
        if len(wanted) == 2 * HASH_BYTES and set(wanted) <= set("0123456789abcdef"):
            return {wanted}
        raise UsageError(unknown_row(wanted, trail, paths))
    return contents


def _alike(contents: set[str], trail: Trail) -> list[tuple[str, str]]:
    """Content and source of other rows that a step dropped since one of these was kept."""
    kept = set(trail.sources(contents))
    noted = [at for at, events in enumerate(trail.table["events"].to_pylist()) if events]
    return [
        (row.content, row.source)
        for row in trail.rows(noted)
        if row.content and row.content not in contents and any(event.other in kept for event in row.events)
    ]


def _matching(
    text: str,
    trail: Trail,
    versions: Iterable[Known],
    params: PrepareParams,
    paths: ArtifactPaths,
    find: Objects,
) -> set[str]:
    """Contents of all rows with a text, in the sources and in earlier versions."""
    wanted = _comparable(text)
    if len(wanted) < LEAST_CHARACTERS:
        raise UsageError(f"--match {text!r} is too short: give at least {LEAST_CHARACTERS} characters")
    objective, rules = find_objective(params.objective), row_rules(params)
    contents = set()
    for name in _files(trail):
        if (paths.root / name).is_file():
            for entry in read_rows(paths.root / name, name, rules):
                if isinstance(entry, Row) and _has(wanted, learnt := content(entry, objective)):
                    contents.add(content_hash(learnt))
    for known in versions:
        contents |= _matching_earlier(wanted, known, find)
    return contents


def _matching_earlier(wanted: str, known: Known, find: Objects) -> set[str]:
    """Contents, as they were read, of an earlier version's rows that were trained on with a text."""
    ids: dict[str, set[str]] = {"train": set(), "dev": set()}
    trail = None
    for side, line, history in earlier_rows(known, find):
        entry = json.loads(line)
        trail = history
        if _has(wanted, entry):
            ids[side].add(entry["id"])
    if trail is None or not any(ids.values()):
        return set()
    sides = trail.table["side"].to_pylist()
    return {
        content
        for content, row_id, side in zip(trail.contents, trail.ids.to_pylist(), sides, strict=True)
        if side and row_id in ids[side]
    }


def _files(trail: Trail) -> list[str]:
    """Files that the rows were read from, in their order."""
    return list(dict.fromkeys(file_of(source) for source in _sources(trail)))


def _sources(trail: Trail) -> Iterator[str]:
    yield from trail.table["source"].to_pylist()


def _has(wanted: str, content: dict[str, Any]) -> bool:
    return any(wanted in _comparable(text) for text in texts_in(content))


def _comparable(text: str) -> str:
    """Equal for texts that are equal but for case, Unicode's form and runs of blanks."""
    return " ".join(as_written(text).casefold().split())


def _add(path: Path, proof: Proof) -> None:
    """Append the rows that are not listed yet; the file is whole or as it was."""
    listed = {each.content for each in read_forgotten(path)}
    new = [content for content in proof.contents if content not in listed]
    lines = [Forgotten(content=content, when=proof.when, by=proof.by, why=proof.why) for content in new]
    before = path.read_bytes() if path.is_file() else b""
    after = "".join(json.dumps(line.model_dump(), ensure_ascii=False) + "\n" for line in lines).encode()
    with atomic_path(path) as temporary:
        temporary.write_bytes(before + (b"\n" if before and not before.endswith(b"\n") else b"") + after)


def prove(paths: ArtifactPaths) -> dict[Path, Proof]:
    """Look whether data/prepared still has what was forgotten, and write into each proof when it first had none.

    The bytes of train.jsonl and dev.jsonl are looked at beside the history of rows.

    Raises:
        MissingArtifactError: The rows were not prepared yet.
        UsageError: A proof is damaged.
    """
    proofs = read_proofs(paths)
    waiting = {path: proof for path, proof in proofs.items() if proof.gone is None}
    if not waiting:
        return proofs
    trail, written = read_trail(paths.trail), _written_contents(paths)
    report = json.loads(paths.data_report.read_text(encoding="utf-8"))
    train, dev = (paths.prepared / f"{side}.jsonl" for side in ("train", "dev"))
    gone = Gone(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        trail_md5=str(report.get("trail_md5", "")),
        train_sha256=sha256_file(train),
        dev_sha256=sha256_file(dev),
    )
    with registry_lock(paths):
        for path, proof in waiting.items():
            on_train, on_dev, _ = sides_of(trail, proof.contents)
            if not on_train and not on_dev and not written & set(proof.contents):
                proofs[path] = proof.model_copy(update={"gone": gone})
                write_json(path, proofs[path])
    return proofs


def _written_contents(paths: ArtifactPaths) -> set[str]:
    """Hashes of what train.jsonl and dev.jsonl have, whatever the history says of them."""
    found = set()
    for side in ("train", "dev"):
        with (paths.prepared / f"{side}.jsonl").open("rb") as stream:
            for line in stream:
                entry = json.loads(line)
                found.add(content_hash({key: entry[key] for key in entry.keys() - BESIDE}))
    return found
