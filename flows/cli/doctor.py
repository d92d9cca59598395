"""``ratchet doctor``: what is wrong with this machine and this project, and how to fix it."""

from pathlib import Path

import typer

from evalsuite.core.errors import ExitCode


def doctor() -> None:
    """Check versions, devices, disk, shadowed packages, DVC and git, and show how to fix what is wrong."""
    from flows.cli.views.findings import show_findings
    from flows.doctor import examine

    findings = examine(Path.cwd())
    show_findings(findings)
    if not all(finding.good for finding in findings):
        raise typer.Exit(int(ExitCode.USAGE))
