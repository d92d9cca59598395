"""``ratchet history``: the ledger, line by line, or the runs of some days in short."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from evalsuite.core.errors import UsageError
from flows.cli.project import project_root

AGO = re.compile(r"([1-9]\d{0,3})([hd])")


def history(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    digest: Annotated[
        bool, typer.Option("--digest", help="Show each run instead: what changed, the verdict, the champion, seconds.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", help="With --digest: 7d, 12h, or a date such as 2026-01-31 (UTC).")
    ] = None,
) -> None:
    """List every verdict, promotion, override and rollback, oldest first; check the hash chain."""
    from flows.cli.views.history import show_history
    from tasks.paths import ArtifactPaths

    if since is not None and not digest:
        raise UsageError("--since goes with --digest: `ratchet history --digest --since 7d`")
    paths = ArtifactPaths(project_root())
    if not digest:
        show_history(paths, as_json)
        return
    from flows.cli.views.digest import show_digest

    show_digest(paths, None if since is None else _moment(since), as_json)


def _moment(text: str) -> datetime:
    found = AGO.fullmatch(text)
    if found:
        number = int(found[1])
        return datetime.now(UTC) - (timedelta(hours=number) if found[2] == "h" else timedelta(days=number))
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(
            f"--since {text!r}: expected hours or days such as 12h or 7d, or a date such as 2026-01-31"
        ) from None
