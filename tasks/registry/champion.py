"""The model in production: champion.json, derived from the ledger."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.errors import UsageError
from evalsuite.files import read_model, write_json
from tasks.paths import ArtifactPaths
from tasks.registry.ledger import Entry, Event, ledger_path, read_ledger


class Champion(BaseModel):
    """Who is in production, and on what grounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: str
    model: str
    """Method that trained it."""
    decision_id: str | None
    inputs_sha256: str
    """Inputs of the run that it came from."""
    previous: str | None
    """Identity of the champion that it replaced."""
    ledger_sequence: int


class ChampionFile(BaseModel):
    """registry/champion.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    champion: Champion | None


def derive(entries: Sequence[Entry], before_sequence: int | None = None) -> Champion | None:
    """The champion that the ledger names, now or before a given line."""
    moves = [
        entry
        for entry in entries
        if entry.event is not Event.VERDICT and (before_sequence is None or entry.sequence < before_sequence)
    ]
    if not moves:
        return None
    last = moves[-1]
    promoted = next(e for e in reversed(moves) if e.event is Event.PROMOTE and e.identity == last.identity)
    return Champion(
        identity=last.identity,
        model=last.candidate,
        decision_id=promoted.decision_id,
        inputs_sha256=promoted.inputs_sha256,
        previous=promoted.replaced,
        ledger_sequence=last.sequence,
    )


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
    if derived is not None and stored == derive(entries, before_sequence=derived.ledger_sequence):
        return derived
    raise UsageError(
        f"{paths.registry / 'champion.json'} names {stored.identity[:16] if stored else 'no champion'}, the ledger "
        f"{derived.identity[:16] if derived else 'none'}; bring both back with `git checkout {paths.registry}`"
    )


def read_stored(paths: ArtifactPaths) -> Champion | None:
    """champion.json as it stands; an absent file means that nothing was promoted yet."""
    path = paths.registry / "champion.json"
    if not path.is_file():
        return None
    return read_model(path, ChampionFile, f"git checkout {path}").champion


def write_champion(paths: ArtifactPaths) -> Champion | None:
    """Derive champion.json from the ledger; call it under the registry's lock."""
    champion = derive(read_ledger(ledger_path(paths)))
    write_json(paths.registry / "champion.json", ChampionFile(champion=champion))
    return champion
