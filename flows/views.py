"""What the command line prints."""

import json
from collections.abc import Sequence
from pathlib import Path

from evalsuite.gate.decision import Decision, Verdict, read_decision
from evalsuite.gate.rules import Outcome
from evalsuite.items.results import SuiteSummary
from flows.console import broken, console, escape, proven, table
from flows.doctor import Finding
from tasks.config.params import Params
from tasks.paths import ArtifactPaths
from tasks.pipeline.runner import Pending

HISTORY_WIDTH = 120
"""Columns of the ledger's table; a narrower terminal gets two lines an entry."""
COLOURS = {Verdict.PROMOTE: "green", Verdict.REJECT: "red", Verdict.INCONCLUSIVE: "yellow"}


def show_decision(decision: Decision, num_reasons: int | None = None) -> None:
    """Verdict, headline, and the strongest reasons (all of them when no number is given)."""
    out = console()
    headline = decision.headline.removeprefix(f"{decision.verdict}: ")
    out.print(f"\n[bold {COLOURS[decision.verdict]}]{decision.verdict}[/]  {escape(headline)}")
    marks = {Outcome.PASS: proven(), Outcome.FAIL: broken(), Outcome.UNDECIDED: "?"}
    for number, reason in enumerate(decision.reasons[:num_reasons], 1):
        out.print(f"  {number}. {marks[reason.outcome]} {escape(reason.text)}")
    for warning in decision.warnings:
        out.print(f"  [yellow]![/] {escape(warning)}")
    if decision.verdict is Verdict.INCONCLUSIVE:
        _show_more_items(decision)


def _show_more_items(decision: Decision) -> None:
    """How many more items would decide each whole-suite rule, if all that was measured stays as it is."""
    undecided = [each for each in decision.reasons if each.outcome is Outcome.UNDECIDED and each.slice is None]
    found = table("undecided rule", "n", "more items that would decide it")
    for each in undecided:
        if each.limit is not None:
            found.add_row(
                escape(each.rule),
                f"{each.n:,}",
                "no number" if each.more_items is None else f"about {each.more_items:,}",
            )
    if found.row_count:
        console().print(found)


def show_verdict(paths: ArtifactPaths) -> int:
    """The present decision with its three strongest reasons and the report's path.

    Returns:
        The verdict's exit code.
    """
    decision = read_decision(paths.decision)
    show_decision(decision, 3)
    if paths.report.is_file():
        console().print(f"\nreport: {escape(str(paths.report.resolve()))}")
    return int(decision.verdict.exit_code)


def promotion_waits(params: Params, paths: ArtifactPaths, no_promote: bool) -> bool:
    """Whether an automatic promotion has still to happen."""
    from tasks.registry.champion import is_withdrawn, read_champion

    if no_promote or not params.promote.automatic:
        return False
    decision = read_decision(paths.decision)
    champion = read_champion(paths)
    there = champion is not None and champion.identity == decision.candidate_identity
    return decision.verdict is Verdict.PROMOTE and not there and not is_withdrawn(decision.candidate_identity, paths)


def show_pending(pending: Sequence[Pending]) -> None:
    """Stages that may run, each with its reason: at most these, since those before them may give what they gave."""
    if not pending:
        console().print("everything is up to date: nothing would run")
        return
    found = table("would run, at most", "because")
    for item in pending:
        found.add_row(escape(item.name), escape(item.reason))
    console().print(found)


def show_missing(params: Params, pending: Sequence[Pending]) -> None:
    """What the run would fetch or reach first, from where, and which line of params.yaml asks for it."""
    from tasks.preflight.remote_inputs import needed

    for remote in needed(params, [item.name for item in pending]):
        verb = "would ask" if remote.is_server else "would fetch"
        console().print(f"{verb}: {escape(remote.what)}, for {escape(remote.key)}")


def show_champion(paths: ArtifactPaths) -> None:
    """The model in production, and the last verdict in this folder."""
    from tasks.registry.champion import read_champion

    champion = read_champion(paths)
    text = "none" if champion is None else f"{champion.model} {champion.identity[:16]}"
    console().print(f"champion: {escape(text)}")
    if paths.decision.is_file():
        decision = read_decision(paths.decision)
        console().print(f"last verdict: {escape(decision.headline)}")
    else:
        console().print("last verdict: none yet; make one with `ratchet run`")


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


def show_findings(findings: Sequence[Finding]) -> None:
    """The doctor's findings, each bad one with its remedy."""
    for finding in findings:
        mark = f"[green]{proven()}[/]" if finding.good else f"[red]{broken()}[/]"
        console().print(f"{mark} {escape(finding.subject)}: {escape(finding.state)}")
        if not finding.good:
            console().print(f"    {escape(finding.remedy)}")


def show_suite(model: str, summary: SuiteSummary, folder: Path) -> None:
    """One suite's means with n, unscored and standard error, how the model's answers ended, and where the items are."""
    found = table("metric", "n", "unscored", "mean", "standard error")
    for metric in summary.metrics:
        mean = "-" if metric.mean is None else f"{metric.mean:.4f}"
        stderr = "-" if metric.stderr is None else f"{metric.stderr:.4f}"
        found.add_row(escape(metric.metric), str(metric.n), str(metric.unscored), mean, stderr)
    answers = summary.answers
    out = console()
    out.print(f"{escape(model)} {escape(summary.suite)}: {summary.num_items} items, {summary.seconds:.1f} s")
    out.print(found)
    out.print(
        f"answers: {answers.num_asked}, {answers.num_cached} of them cached, {answers.num_cut} cut at the token limit, "
        f"{answers.num_empty} empty, {answers.num_refused} unanswered (too long for the context, or no number)"
    )
    out.print(f"items: {escape(str(folder))}")
