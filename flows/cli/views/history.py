"""The ledger on the terminal."""

import json

from flows.cli.views.console import console, escape, table
from tasks.paths import ArtifactPaths

HISTORY_WIDTH = 120
"""Columns of the ledger's table; a narrower terminal gets two lines an entry."""


def show_history(paths: ArtifactPaths, as_json: bool) -> None:
    """The ledger, line by line."""
    from tasks.registry.ledger import read_ledger

    entries = read_ledger(paths.registry / "ledger.jsonl")
    if as_json:
        for entry in entries:
            print(json.dumps(entry.model_dump(mode="json"), ensure_ascii=False, sort_keys=True))
        return
    if not entries:
        console().print("no history yet; `ratchet run` writes the first verdict")
        return
    out = console()
    found = table("#", "when", "event", "verdict", "model", "identity", "decision", "by", "note")
    for entry in entries:
        note = "" if entry.override is None else f"OVERRIDE by {entry.override.by}: {entry.override.reason}"
        cells = (
            str(entry.sequence),
            str(entry.recorded_at)[:16],
            entry.event,
            entry.verdict or "",
            entry.candidate or "",
            (entry.identity or "")[:12],
            (entry.decision_id or "")[:12],
            entry.actor,
            note or (entry.reason or ""),
        )
        if out.width >= HISTORY_WIDTH:
            found.add_row(*(escape(cell) for cell in cells))
            continue
        number, when, event, verdict, model, identity, decision_id, actor, said = map(escape, cells)
        out.print("  ".join(part for part in (number, when, event, verdict, model) if part))
        out.print(f"    identity {identity}  decision {decision_id}  by {actor}" + (f": {said}" if said else ""))
    if found.row_count:
        out.print(found)
