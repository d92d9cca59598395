"""What the doctor found, on the terminal."""

from collections.abc import Sequence

from flows.cli.views.console import broken, console, escape, proven
from flows.doctor import Finding


def show_findings(findings: Sequence[Finding]) -> None:
    """The doctor's findings, each bad one with its remedy."""
    for finding in findings:
        mark = f"[green]{proven()}[/]" if finding.good else f"[red]{broken()}[/]"
        console().print(f"{mark} {escape(finding.subject)}: {escape(finding.state)}")
        if not finding.good:
            console().print(f"    {escape(finding.remedy)}")
