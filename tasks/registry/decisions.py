"""Decisions that are kept for replay."""

import re
from pathlib import Path

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.gate.decision import read_decision
from evalsuite.gate.replay import Record
from evalsuite.report.facts.lineage import ParamChange, param_changes
from tasks.config.params import load_params
from tasks.paths import ArtifactPaths
from tasks.registry.champion import read_champion
from tasks.registry.ledger import Event, ledger_path, read_ledger

SUFFIX = ".json.gz"
ID = re.compile(r"[0-9a-f]{4,64}")
SHOWN_CHANGES, SHOWN_CHARACTERS = 3, 60


def check_last(paths: ArtifactPaths, decision_id: str) -> None:
    """Refuse a decision after which the ledger has the verdict of another one, and a champion that is not the ledger's.

    Raises:
        UsageError: It is not the last one, or the registry is damaged.
    """
    read_champion(paths)
    judged = [entry.decision_id for entry in read_ledger(ledger_path(paths)) if entry.event is Event.VERDICT]
    if judged and judged[-1] is not None and judged[-1] != decision_id:
        raise UsageError(
            f"{paths.decision} is decision {decision_id[:16]}, and the ledger's last verdict is on {judged[-1][:16]}; "
            "name the one that is meant: `ratchet gate replay --verdict ID`"
        )


def check_params(paths: ArtifactPaths, record: Record) -> None:
    """Refuse a verdict on other settings than those of params.yaml: nothing was shown of these.

    A record of an earlier version has no settings but the gate's.

    Raises:
        UsageError: Names the settings that differ.
    """
    present = load_params(paths.params)
    if record.run is not None:
        changes = param_changes(record.run.params, present.deciding())
    else:
        stored, own = (policy.model_dump(mode="json") for policy in (record.decision.policy, present.gate))
        changes = param_changes({"gate": stored}, {"gate": own})
    if changes:
        more = f", and {len(changes) - SHOWN_CHANGES} more" if len(changes) > SHOWN_CHANGES else ""
        raise UsageError(
            f"decision {record.decision.decision_id[:16]} was made with other settings than {paths.params.name} has "
            f"now: {', '.join(map(_change, changes[:SHOWN_CHANGES]))}{more}; make a new one with `ratchet run`, and "
            f"commit registry/ with {paths.params.name}"
        )


def _change(change: ParamChange) -> str:
    before, after = ("absent" if side is None else side for side in (change.before, change.after))
    if max(len(before), len(after)) > SHOWN_CHARACTERS:  # two long lists begin alike
        return f"{change.key} differs"
    return f"{change.key} was {before} and is {after}"


def find_decision(paths: ArtifactPaths, wanted: str | None) -> Path:
    """The file of a stored decision.

    Args:
        paths: The project.
        wanted: Id of a decision or at least its first 4 characters; when None the present decision, or in a clone
            where no stage ran the last one of the ledger.

    Raises:
        UsageError: No stored decision, or several, start so.
        MissingArtifactError: No decision was made yet.
    """
    if wanted is None and not paths.decision.is_file():
        judged = [entry.decision_id for entry in read_ledger(ledger_path(paths)) if entry.event is Event.VERDICT]
        if judged and judged[-1] is not None:
            return paths.stored_decision(judged[-1])
    if wanted is None:
        return paths.stored_decision(read_decision(paths.decision, "ratchet run").decision_id)
    folder = paths.stored_decision("").parent
    known = sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))
    if not known:
        raise MissingArtifactError(f"no decision is stored in {folder}; make one with `ratchet run`")
    if not ID.fullmatch(wanted):
        raise UsageError(f"{wanted!r} is not the id of a decision; stored: {', '.join(known)}")
    found = [name for name in known if name.startswith(wanted[:16])]
    if len(found) != 1:
        raise UsageError(f"{wanted!r} names {len(found)} stored decisions; stored: {', '.join(known)}")
    return folder / f"{found[0]}{SUFFIX}"
