"""``ratchet history``: the ledger, line by line."""

from typing import Annotated

import typer

from flows.cli.project import project_root


def history(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List every verdict, promotion, override and rollback, oldest first; check the hash chain."""
    from flows.cli.views.history import show_history
    from tasks.paths import ArtifactPaths

    show_history(ArtifactPaths(project_root()), as_json)
