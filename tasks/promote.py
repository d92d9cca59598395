"""Moving the champion: only on a decision that is proven again, only to bytes that are proven to be had.

Not a DVC stage: it changes the world. The ledger line is the move; champion.json follows from it.
"""

from typing import NamedTuple

from evalsuite.errors import StaleDecisionError, UsageError
from evalsuite.gate.decision import Decision, Verdict, read_decision
from evalsuite.identity import verify_manifest
from tasks.params import PromoteParams, load_params
from tasks.paths import ArtifactPaths
from tasks.registry.champion import Champion, read_champion, read_stored, write_champion
from tasks.registry.ledger import (
    Entry,
    Event,
    Override,
    append,
    ledger_path,
    new_entry,
    read_ledger,
    registry_lock,
)
from tasks.registry.store import materialise, store

__all__ = ["Move", "Override", "promote", "rollback"]


class Move(NamedTuple):
    """What happened to the champion."""

    champion: Champion
    summary: str


def promote(
    paths: ArtifactPaths, params: PromoteParams, override: Override | None = None, dry_run: bool = False
) -> Move:
    """Make the candidate of reports/decision.json the champion.

    The decision is computed again from the stored item results, the weights are hashed again, and the champion must
    still be the one that the decision was made against.

    Raises:
        UsageError: The verdict is not PROMOTE and nobody overrides it, or the stored decision, results or weights were
            changed after the gate ran.
        StaleDecisionError: Another model became champion meanwhile.
        StageError: The remote cannot prove that it holds the bytes; the champion stays.
    """
    decision = read_decision(paths.decision)
    if decision.verdict is not Verdict.PROMOTE and override is None:
        raise UsageError(
            f"the verdict is {decision.verdict}, not PROMOTE: {decision.headline} To promote against it, name yourself "
            "and the reason: `ratchet promote --override NAME --reason TEXT`"
        )
    _verify_decision(decision, paths)
    made_by = f"ratchet stage train@{decision.candidate}"
    identity = verify_manifest(paths.export(decision.candidate), made_by).identity
    if identity != decision.candidate_identity:
        raise UsageError(
            f"models/{decision.candidate}/export is {identity[:16]}, the decision is about "
            f"{decision.candidate_identity[:16]}; run `ratchet run` so that the gate judges these bytes"
        )
    with registry_lock(paths):
        champion = read_champion(paths)
        if champion is not None and champion.identity == identity:
            if read_stored(paths) != champion:
                write_champion(paths)
            return Move(champion, f"{decision.candidate} {identity[:16]} is already the champion")
        judged_against = decision.baselines.get("champion")
        present = champion.identity if champion else None
        if judged_against != present:
            raise StaleDecisionError(
                f"the decision was made against champion {_short(judged_against)}, the champion is now "
                f"{_short(present)}; run the gate again: `ratchet run`"
            )
        if dry_run:
            text = f"would promote {decision.candidate} {identity[:16]} over {_short(present)}; nothing was changed"
            return Move(champion or _preview(decision, present), text)
        store(decision.candidate, identity, paths, params.remote)
        entry = new_entry(Event.PROMOTE, decision, decision.candidate, identity)
        reason = override if decision.verdict is not Verdict.PROMOTE else None
        append(paths, entry.model_copy(update={"replaced": present, "override": reason}))
        moved = write_champion(paths)
    if moved is None:
        raise UsageError(f"{ledger_path(paths)} lost its last line while it was written; look at `ratchet history`")
    note = f", overriding {decision.verdict} ({reason.by}: {reason.reason})" if reason else ""
    return Move(moved, f"promoted {decision.candidate} {identity[:16]} over {_short(present)}{note}")


def rollback(paths: ArtifactPaths, to: str | None, reason: str) -> Move:
    """Bring an earlier champion back, after its bytes came back from the store.

    Args:
        paths: The project.
        to: Identity, or its first characters; the champion before the present one when None.
        reason: Stays in the ledger.

    Raises:
        UsageError: There is no such champion, or no reason is given.
        StageError: Its bytes cannot be had; the champion stays.
    """
    if not reason.strip():
        raise UsageError("a rollback needs a reason: `ratchet rollback --reason TEXT`")
    remote = load_params(paths.params).promote.remote
    with registry_lock(paths):
        entries = read_ledger(ledger_path(paths))
        champion = read_champion(paths)
        if champion is None:
            raise UsageError("no champion yet: there is nothing to roll back; see `ratchet history`")
        target = _earlier(entries, champion, to)
        materialise(target.identity, paths, remote)
        entry = new_entry(Event.ROLLBACK, None, target.candidate, target.identity)
        append(paths, entry.model_copy(update={"replaced": champion.identity, "reason": reason.strip()}))
        moved = write_champion(paths)
    return Move(moved or champion, f"rolled back from {champion.identity[:16]} to {target.identity[:16]}")


def _earlier(entries: list[Entry], champion: Champion, to: str | None) -> Entry:
    promotions = {entry.identity: entry for entry in entries if entry.event is Event.PROMOTE}
    others = {identity: entry for identity, entry in promotions.items() if identity != champion.identity}
    if to is None:
        if champion.previous is None or champion.previous not in others:
            raise UsageError(f"{champion.identity[:16]} is the first champion: there is none to go back to")
        return others[champion.previous]
    found = [entry for identity, entry in others.items() if to and identity.startswith(to)]
    if len(found) != 1:
        known = ", ".join(identity[:16] for identity in others) or "none"
        raise UsageError(f"--to {to!r} names {len(found)} earlier champions; earlier champions: {known}")
    return found[0]


def _verify_decision(decision: Decision, paths: ArtifactPaths) -> None:
    """Decide again from the stored results; a decision or a result edited by hand gives another answer."""
    from tasks.gate import judge

    again = judge(decision.policy, paths)
    if again != decision:
        fields = [name for name in Decision.model_fields if getattr(again, name) != getattr(decision, name)]
        raise UsageError(
            f"{paths.decision} is not what the stored results give (differs in {', '.join(fields)}); make it again "
            "with `ratchet stage gate --force`"
        )
    current = load_params(paths.params).gate
    if current != decision.policy:
        raise UsageError("the gate's policy in params.yaml is not the decision's; run the gate again: `ratchet run`")


def _preview(decision: Decision, present: str | None) -> Champion:
    return Champion(
        identity=decision.candidate_identity,
        model=decision.candidate,
        decision_id=decision.decision_id,
        inputs_sha256=decision.inputs_sha256,
        previous=present,
        ledger_sequence=0,
    )


def _short(identity: str | None) -> str:
    return identity[:16] if identity else "none"
