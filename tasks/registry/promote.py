"""Moving the champion: only on a decision that is proven again, only to bytes that are proven to be had.

Not a DVC stage: it changes the world. The ledger line is the move; champion.json follows from it.
"""

from typing import NamedTuple

from evalsuite.core.errors import StaleDecisionError, UsageError
from evalsuite.core.identity import verify_manifest
from evalsuite.gate.decision import Decision, Verdict, read_decision
from tasks.config.operations import PromoteParams
from tasks.config.params import load_params
from tasks.paths import ArtifactPaths
from tasks.registry.champion import Champion, predecessor, read_champion, settle, withdrawn, write_champion
from tasks.registry.ledger import (
    Entry,
    Event,
    Override,
    append,
    append_verdict,
    judged_sets,
    ledger_path,
    new_entry,
    read_ledger,
    registry_lock,
)
from tasks.registry.store import materialise, pointer_path, rehearse, store

__all__ = ["Move", "Override", "promote", "rollback"]


NOBODY = "none"
"""``rollback --to none``: no hash starts so."""
TAKEN_OUT = {Event.ROLLBACK: "rolled back", Event.RETIRE: "retired"}


class Move(NamedTuple):
    """What happened to the champion."""

    champion: Champion | None
    """None after the champion was retired."""
    summary: str


def promote(
    paths: ArtifactPaths, params: PromoteParams, override: Override | None = None, dry_run: bool = False
) -> Move:
    """Make the candidate of reports/decision.json the champion.

    The decision is computed again from the stored item results, the weights are hashed again, and the champion must
    still be the one that the decision was made against. What somebody rolled back comes back only by name.

    Args:
        paths: The project.
        params: Which remote keeps the bytes.
        override: Who promotes against the verdict or a rollback, and why; stays in the ledger.
        dry_run: Verify everything but that the remote takes the bytes and gives them back, and change nothing.

    Raises:
        UsageError: The verdict is not PROMOTE and nobody overrides it, or the stored decision, results or weights were
            changed after the gate ran.
        StaleDecisionError: Another model became champion meanwhile.
        StageError: The remote cannot prove that it holds the bytes; the champion stays.
    """
    decision = read_decision(paths.decision, "ratchet run")
    override = _named(override)
    if decision.verdict is not Verdict.PROMOTE and override is None:
        raise UsageError(
            f"the verdict is {decision.verdict}, not PROMOTE: {decision.headline}. To promote against it, name "
            "yourself and the reason: `ratchet promote --override NAME --reason TEXT`"
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
        present = read_champion(paths) if dry_run else settle(paths)
        if present is not None and present.identity == identity:
            return Move(present, f"{decision.candidate} {identity[:16]} is already the champion")
        _check_against(present, decision)
        _check_withdrawn(decision, override, paths)
    if dry_run:
        rehearse(decision.candidate, identity, paths, params.remote)
        text = f"would promote {decision.candidate} {identity[:16]} over {_short(present)}; nothing was changed"
        return Move(_preview(decision, present), text)
    # The lock is free while the bytes travel, since that may take long; what it guards is checked again after it.
    store(decision.candidate, identity, paths, params.remote)
    with registry_lock(paths):
        champion = read_champion(paths)
        if champion is not None and champion.identity == identity:
            return Move(champion, f"{decision.candidate} {identity[:16]} is already the champion")
        _check_against(champion, decision)
        needed = _check_withdrawn(decision, override, paths) or decision.verdict is not Verdict.PROMOTE
        append_verdict(decision, paths)
        entry = new_entry(
            Event.PROMOTE, decision, decision.candidate, identity, judged_sets(decision, paths)
        ).model_copy(
            update={"replaced": champion.identity if champion else None, "override": override if needed else None}
        )
        moved = _move(entry, paths)
    against = "its rollback" if decision.verdict is Verdict.PROMOTE else decision.verdict
    note = f", overriding {against} ({override.by}: {override.reason})" if override and needed else ""
    return Move(moved, f"promoted {decision.candidate} {identity[:16]} over {_short(champion)}{note}")


def rollback(paths: ArtifactPaths, to: str | None, reason: str) -> Move:
    """Bring an earlier champion back, after its bytes came back from the store, or retire the present one.

    Args:
        paths: The project.
        to: Identity, or its first characters; ``none`` for no champion at all; when None the champion before the
            present one, past those that were rolled back or retired.
        reason: Stays in the ledger.

    Raises:
        UsageError: There is no such champion, or no reason is given.
        StaleDecisionError: The champion moved while the bytes came back.
        StageError: Its bytes cannot be fetched; the champion stays.
    """
    reason = _one_line(reason)
    if not reason:
        raise UsageError("a rollback needs a reason: `ratchet rollback --reason TEXT`")
    with registry_lock(paths):
        champion = settle(paths)
        entries = read_ledger(ledger_path(paths))
        if to == NOBODY and champion is not None:
            entry = new_entry(Event.RETIRE, None, champion.model, champion.identity)
            moved = _move(entry.model_copy(update={"replaced": champion.identity, "reason": reason}), paths)
            return Move(moved, f"retired {champion.identity[:16]}: there is no champion now")
        if champion is None and to in (None, NOBODY):
            raise UsageError(_no_champion(entries))
        target = _earlier(entries, champion, to)
    materialise(target.identity, paths)
    with registry_lock(paths):
        if read_champion(paths) != champion:
            raise StaleDecisionError(
                f"the champion moved while the bytes of {target.identity[:16]} came back; look at `ratchet history`, "
                "then roll back again"
            )
        entry = new_entry(Event.ROLLBACK, None, target.candidate, target.identity)
        replaced = champion.identity if champion else None
        moved = _move(entry.model_copy(update={"replaced": replaced, "reason": reason}), paths)
    return Move(moved, f"rolled back from {_short(champion)} to {target.identity[:16]}")


def _no_champion(entries: list[Entry]) -> str:
    earlier = list(dict.fromkeys(entry.identity[:16] for entry in entries if entry.event is Event.PROMOTE))
    if not earlier:
        return "no champion yet: there is nothing to roll back; see `ratchet history`"
    return f"there is no champion now; bring an earlier one back with --to IDENTITY: {', '.join(earlier)}"


def _move(entry: Entry, paths: ArtifactPaths) -> Champion | None:
    """The ledger line is the move; champion.json comes last, and a crash between them is fixed by the next move."""
    append(paths, entry)
    return write_champion(paths)


def _named(override: Override | None) -> Override | None:
    """An override in one line each, never blank."""
    if override is None:
        return None
    by, reason = _one_line(override.by), _one_line(override.reason)
    if not by or not reason:
        raise UsageError(
            f"an override needs a name and a reason, got {by!r} and {reason!r}: `ratchet promote --override NAME "
            "--reason TEXT`"
        )
    return Override(by=by, reason=reason)


def _one_line(text: str) -> str:
    return " ".join(text.encode(errors="replace").decode().split())


def _check_against(champion: Champion | None, decision: Decision) -> None:
    """Compare-and-swap: only the champion that the candidate was judged against may be replaced."""
    judged_against, present = decision.baselines.get("champion"), champion.identity if champion else None
    if judged_against == present:
        return
    remedy = "run the gate again: `ratchet run`"
    if champion is not None and champion.inputs_sha256 == decision.inputs_sha256:
        remedy = (
            "it was trained from these same inputs, which are judged against its predecessor; change an input, such as "
            "train.seed in params.yaml, and then run the gate again: `ratchet run`"
        )
    raise StaleDecisionError(
        f"the decision was made against champion {judged_against[:16] if judged_against else 'none'}, the champion is "
        f"now {_short(champion)}; {remedy}"
    )


def _check_withdrawn(decision: Decision, override: Override | None, paths: ArtifactPaths) -> bool:
    """Whether the candidate was rolled back, so that only a named person may bring it back."""
    line = withdrawn(read_ledger(ledger_path(paths))).get(decision.candidate_identity)
    if line is None:
        return False
    if override is None:
        raise UsageError(
            f"{decision.candidate} {decision.candidate_identity[:16]} was {TAKEN_OUT[line.event]} by {line.actor} on "
            f"{line.recorded_at[:10]} ({line.reason}); only a named person makes the same bytes champion again: "
            "`ratchet promote --override NAME --reason TEXT`"
        )
    return True


def _earlier(entries: list[Entry], champion: Champion | None, to: str | None) -> Entry:
    present = champion.identity if champion else None
    others = {e.identity: e for e in entries if e.event is Event.PROMOTE and e.identity != present}
    if champion is not None and to is None:
        target = predecessor(entries, champion.identity)
        if target is not None:
            return target
        to_none = f"to have no champion: `ratchet rollback --to {NOBODY} --reason TEXT`"
        if champion.previous is None:
            raise UsageError(f"{champion.identity[:16]} is the first champion: no earlier one exists; {to_none}")
        out = ", ".join(identity[:16] for identity in others)
        raise UsageError(
            f"every champion before {champion.identity[:16]} was rolled back or retired; to bring one back by name: "
            f"`ratchet rollback --to IDENTITY --reason TEXT` ({out}); {to_none}"
        )
    found = [entry for identity, entry in others.items() if to and identity.startswith(to)]
    if len(found) != 1:
        known = ", ".join(identity[:16] for identity in others) or "none"
        raise UsageError(f"--to {to!r} names {len(found)} earlier champions; earlier champions: {known}")
    return found[0]


def _verify_decision(decision: Decision, paths: ArtifactPaths) -> None:
    """Decide again from the stored results; a decision or a result edited by hand gives another answer."""
    from tasks.registry.evidence import judge_again

    again = judge_again(decision, paths)
    if again != decision:
        fields = [name for name in Decision.model_fields if getattr(again, name) != getattr(decision, name)]
        raise UsageError(
            f"{paths.decision} does not follow from the stored results (differs in {', '.join(fields)}); make it "
            "again with `ratchet stage gate --force`"
        )
    current = load_params(paths.params).gate
    if current != decision.policy:
        raise UsageError("the gate's policy in params.yaml is not the decision's; run the gate again: `ratchet run`")


def _preview(decision: Decision, present: Champion | None) -> Champion:
    return Champion(
        identity=decision.candidate_identity,
        model=decision.candidate,
        decision_id=decision.decision_id,
        inputs_sha256=decision.inputs_sha256,
        previous=present.identity if present else None,
        pointer=pointer_path(decision.candidate_identity, ArtifactPaths()).as_posix(),
        ledger_sequence=0,
    )


def _short(champion: Champion | None) -> str:
    return champion.identity[:16] if champion else "none"
