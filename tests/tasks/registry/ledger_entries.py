"""Ledger lines for tests."""

from pathlib import Path

from tasks.paths import ArtifactPaths
from tasks.registry.ledger import Entry, Event, append, new_entry, registry_lock


def add(root: Path, event: Event, identity: str, replaced: str | None = None, inputs: str = "") -> Entry:
    """Append one line under the lock."""
    paths = ArtifactPaths(root)
    entry = new_entry(event, None, "full", identity * 64)
    fields = {"replaced": replaced * 64 if replaced else None, "inputs_sha256": inputs}
    with registry_lock(paths):
        return append(paths, entry.model_copy(update=fields))
