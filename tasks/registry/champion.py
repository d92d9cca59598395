"""The model in production: champion.json, derived from the ledger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_model, write_json
from evalsuite.gate.decision import Decision, Verdict
from tasks.paths import ArtifactPaths
from tasks.registry.ledger import Entry, Event, bring_back, ledger_path, read_ledger, registry_lock
from tasks.registry.store import pointer_path

REBUILD = "python -P -m tasks.registry.rebuild"


class Champion(BaseModel):
    """The model in production, and the decision that put it there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: str
    model: str
    """Method that trained it."""
    decision_id: str | None
    inputs_sha256: str
    """Inputs of the run that it came from."""
    previous: str | None
    """Identity of the champion that it replaced."""
    pointer: str
    """The DVC file, relative to the project's root, that brings the bytes back: ``dvc pull POINTER``."""
    ledger_sequence: int


class ChampionFile(BaseModel):
    """registry/champion.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    champion: Champion | None


def derive(entries: Sequence[Entry], before_sequence: int | None = None) -> Champion | None:
    """The champion that the ledger names, now or before a given line.

    Raises:
        UsageError: A rollback goes to a model that was never promoted.
    """
    moves = [entry for entry in _moves(entries) if before_sequence is None or entry.sequence < before_sequence]
    if not moves or moves[-1].event is Event.RETIRE:
        return None
    last = moves[-1]
    promoted = next((e for e in reversed(moves) if e.event is Event.PROMOTE and e.identity == last.identity), None)
    if promoted is None:
        raise UsageError(
            f"ledger line {last.sequence} rolls back to {last.identity[:16]}, which was never promoted; bring the "
            "ledger back with `git checkout HEAD -- registry/ledger.jsonl` or from a backup"
        )
    return Champion(
        identity=last.identity,
        model=last.candidate,
        decision_id=promoted.decision_id,
        inputs_sha256=promoted.inputs_sha256,
        previous=promoted.replaced,
        pointer=pointer_path(last.identity, ArtifactPaths()).as_posix(),
        ledger_sequence=last.sequence,
    )


def _moves(entries: Sequence[Entry]) -> list[Entry]:
    """The lines that change who is champion."""
    return [entry for entry in entries if entry.event is not Event.VERDICT]


def withdrawn(entries: Sequence[Entry]) -> dict[str, Entry]:
    """Models that were rolled back or retired and not made champion since, each with the line that took it out."""
    out: dict[str, Entry] = {}
    for entry in _moves(entries):
        out.pop(entry.identity, None)
        if entry.event in (Event.ROLLBACK, Event.RETIRE) and entry.replaced is not None:
            out[entry.replaced] = entry
    return out


def predecessor(entries: Sequence[Entry], identity: str) -> Entry | None:
    """The promotion of the champion that was there before a model, and before that, until one that nobody took out.

    Args:
        entries: The ledger.
        identity: A model that was promoted.

    Returns:
        None where every earlier champion was rolled back or retired, or there was none.
    """
    out = withdrawn(entries)
    promotions = [entry for entry in entries if entry.event is Event.PROMOTE]
    wanted: str | None = identity
    while promotions and wanted is not None:
        line = promotions.pop()
        if line.identity != wanted:
            continue
        if line.identity != identity and line.identity not in out:
            return line
        wanted = line.replaced
    return None


def is_withdrawn(identity: str, paths: ArtifactPaths) -> bool:
    """Whether somebody took this model out; then only a person, by name, makes it champion again."""
    return identity in withdrawn(read_ledger(ledger_path(paths)))


def awaits_promotion(decision: Decision, paths: ArtifactPaths) -> bool:
    """Whether a PROMOTE has not been acted on yet; what somebody rolled back stays back."""
    if decision.verdict is not Verdict.PROMOTE:
        return False
    champion = read_champion(paths)
    there = champion is not None and champion.identity == decision.candidate_identity
    return not there and not is_withdrawn(decision.candidate_identity, paths)


def read_champion(paths: ArtifactPaths) -> Champion | None:
    """The present champion, after checking that champion.json says what the ledger says.

    A ledger one move ahead is a crash between the two writes: the ledger is right, and champion.json is brought up to
    it by the next ``promote`` or ``rollback``.

    Raises:
        UsageError: The two disagree otherwise, or one of them is damaged.
    """
    stored = read_stored(paths)
    entries = read_ledger(ledger_path(paths))
    derived = derive(entries)
    if stored == derived:
        return derived
    moves = _moves(entries)
    if moves and stored == derive(entries, before_sequence=moves[-1].sequence):
        return derived
    _refuse_lost_lines(stored, entries, paths)
    raise UsageError(
        f"{champion_path(paths)} names {shortened(stored)}, the ledger {shortened(derived)}; if the ledger is right, "
        f"write the file again with `{REBUILD}`"
    )


def champion_path(paths: ArtifactPaths) -> Path:
    """Where the champion is named."""
    return paths.registry / "champion.json"


def read_stored(paths: ArtifactPaths) -> Champion | None:
    """champion.json as it stands; an absent file means that nothing was promoted yet."""
    path = champion_path(paths)
    return read_model(path, ChampionFile, REBUILD).champion if path.is_file() else None


def write_champion(paths: ArtifactPaths) -> Champion | None:
    """Derive champion.json from the ledger; call it under the registry's lock."""
    champion = derive(read_ledger(ledger_path(paths)))
    write_json(champion_path(paths), ChampionFile(champion=champion))
    return champion


def settle(paths: ArtifactPaths) -> Champion | None:
    """``read_champion``, after finishing a move that a crash interrupted; call it under the registry's lock."""
    champion = read_champion(paths)
    return champion if read_stored(paths) == champion else write_champion(paths)


def rebuild(paths: ArtifactPaths) -> Champion | None:
    """Write champion.json again from the ledger, whatever it holds.

    Raises:
        UsageError: The ledger is damaged, or it lost lines that champion.json still knows of.
    """
    with registry_lock(paths):
        entries = read_ledger(ledger_path(paths))
        try:
            stored = read_stored(paths)
        except UsageError:
            stored = None  # a damaged file is what this repairs
        _refuse_lost_lines(stored, entries, paths)
        return write_champion(paths)


def _refuse_lost_lines(stored: Champion | None, entries: Sequence[Entry], paths: ArtifactPaths) -> None:
    if stored is not None and stored.ledger_sequence > len(entries):
        path = ledger_path(paths)
        raise UsageError(
            f"{champion_path(paths)} names {shortened(stored)} from ledger line {stored.ledger_sequence}, the ledger "
            f"{shortened(derive(entries))} and {len(entries)} lines: it lost the others; {bring_back(path)}"
        )


def shortened(champion: Champion | None) -> str:
    """The identity, shortened for people."""
    return champion.identity[:16] if champion else "none"
