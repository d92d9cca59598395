"""``ratchet promote`` and ``ratchet rollback``: which model is in production."""

from contextlib import nullcontext
from typing import Annotated, Optional

import typer

from evalsuite.core.errors import UsageError
from flows.cli.project import project_root


def promote(
    override: Annotated[Optional[str], typer.Option(help="Your name, to promote against the verdict.")] = None,  # noqa: UP045
    reason: Annotated[Optional[str], typer.Option(help="The reason; it stays in the ledger and in history.")] = None,  # noqa: UP045
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify everything, change nothing.")] = False,
) -> None:
    """Make the candidate of the present decision the champion, after proving decision and bytes again."""
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths
    from tasks.pipeline.project_lock import only_run
    from tasks.registry.promote import Override
    from tasks.registry.promote import promote as promote_candidate

    root = project_root()
    paths = ArtifactPaths(root)
    if (override is None) != (reason is None):
        raise UsageError("an override needs both --override NAME and --reason TEXT")
    wish = Override(by=override, reason=reason) if override is not None and reason is not None else None
    params = load_params(paths.params).promote
    with nullcontext() if dry_run else only_run(root, "ratchet promote"):
        typer.echo(promote_candidate(paths, override=wish, params=params, dry_run=dry_run).summary)


def rollback(
    reason: Annotated[str, typer.Option(help="The reason; it stays in the ledger and in history.")],
    to: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Identity (or its start), or `none` for no champion; the previous champion by default."),
    ] = None,
) -> None:
    """Bring an earlier champion back, after proving that its bytes can be had; `--to none` retires the present one."""
    from tasks.paths import ArtifactPaths
    from tasks.registry.promote import rollback as roll_back

    typer.echo(roll_back(ArtifactPaths(project_root()), to=to, reason=reason).summary)
