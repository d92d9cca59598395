"""Decisions that are kept for replay."""

import re
from pathlib import Path

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.gate.decision import read_decision
from tasks.paths import ArtifactPaths
from tasks.registry.champion import read_champion
from tasks.registry.ledger import Event, ledger_path, read_ledger

SUFFIX = ".json.gz"
ID = re.compile(r"[0-9a-f]{4,64}")


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
        return paths.stored_decision(read_decision(paths.decision).decision_id)
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
