"""Markdown for model hubs and for Prefect: the model card, and the verdict in a few lines."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from evalsuite.comparison import Comparison
from evalsuite.gate.decision import Decision, Outcome, Verdict
from evalsuite.gate.judging import value_interval
from evalsuite.report.build import VERDICT_WORDS, strongest
from evalsuite.report.data import ReportData
from evalsuite.report.flips import judged_metrics
from evalsuite.report.forest import blocks_nothing
from evalsuite.report.text import ABSENT, count, interval, number, signed, visible

SYMBOLS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.UNDECIDED: "❔"}
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line: no markup, link, HTML or hidden character comes alive."""
    flat = visible(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    quiet = _SPECIAL.sub(r"\\\1", flat)
    # GitHub's and the hub's Markdown turn bare addresses into links.
    return quiet.replace("://", "\\://").replace("www.", "www\\.").replace("@", "&#64;")


def markdown_summary(decision: Decision, comparison: Comparison, report: Path | None = None) -> str:
    """The verdict, the strongest reasons and why this candidate, for an artifact or a closing message."""
    lines = [
        f"# {decision.verdict}: {escaped(decision.candidate)}",
        "",
        escaped(decision.headline.removeprefix(f"{decision.verdict}: ")),
        "",
        *(f"{i}. {SYMBOLS[reason.outcome]} {escaped(reason.text)}" for i, reason in enumerate(strongest(decision), 1)),
        *(["", *(f"⚠️ {escaped(warning)}" for warning in decision.warnings)] if decision.warnings else []),
        "",
        f"Candidate: {escaped(comparison.chosen_because)}",
        "",
        f"Decision `{decision.decision_id[:16]}`",
    ]
    if report is not None:
        lines += ["", f"Report: {escaped(str(report))}"]
    return "\n".join(lines) + "\n"


def build_model_card(data: ReportData) -> str:
    """A Hugging Face model card of the candidate: metadata, training, evaluation, limits, verdict."""
    decision, comparison = data.decision, data.comparison
    row = comparison.method(decision.candidate)
    training = data.training.get(decision.candidate)
    sections = [
        f"# {escaped(row.name)}: {escaped(data.base_model)}, fine-tuned ({escaped(row.kind)})",
        f"**Promotion gate: {decision.verdict}.** {VERDICT_WORDS[decision.verdict]}\n\n"
        f"{escaped(decision.headline.removeprefix(f'{decision.verdict}: '))}",
        _facts(data),
        "## Evaluation\n\n" + _metrics(data),
        "### Rules of the gate\n\n" + _rules(decision),
        "## Training\n\n" + (_training(data) if training else "No training log was found."),
        "## Limits\n\n" + _limits(data),
    ]
    return "---\n" + _metadata(data) + "---\n\n" + "\n\n".join(sections) + "\n"


def _metadata(data: ReportData) -> str:
    tags = ["text-generation", "fine-tuned", data.comparison.method(data.decision.candidate).kind]
    fields: dict[str, Any] = {"license": data.licence or "unknown", "library_name": "transformers", "tags": tags}
    hub_id = data.base_model.partition("@")[0]
    if HUB_ID.fullmatch(hub_id):
        fields["base_model"] = hub_id
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)


def _facts(data: ReportData) -> str:
    decision, row = data.decision, data.comparison.method(data.decision.candidate)
    facts = {
        "Base model": escaped(data.base_model),
        "Method": f"{escaped(row.name)} ({escaped(row.kind)})",
        "Model identity": f"`{decision.candidate_identity}`",
        "Decision": f"`{decision.decision_id}`",
        "Code": f"`{escaped(data.git_commit)}`",
        "Licence": escaped(data.licence) if data.licence else "not recorded by the run; the base model's terms apply",
    }
    return _table(("", ""), [(name, value) for name, value in facts.items()])


def _metrics(data: ReportData) -> str:
    decision = data.decision
    row = data.comparison.method(decision.candidate)
    judged = judged_metrics(decision.policy)
    alpha = decision.policy.alpha
    lines = []
    for metric in row.metrics:
        result = data.results.get(decision.candidate, {}).get(metric.suite)
        bounds = ABSENT if metric.mean is None or result is None else _bounds(data, metric.suite, metric.metric, alpha)
        mark = " (judged)" if metric.metric in judged.get(metric.suite, {}) else ""
        base = next(
            (found for each in data.comparison.baselines if (found := each.metric(metric.suite, metric.metric))), None
        )
        lines.append(
            (
                escaped(f"{metric.suite}/{metric.metric}") + mark,
                number(metric.mean),
                bounds,
                str(metric.n),
                str(metric.unscored),
                number(base.mean) if base else ABSENT,
            )
        )
    level = f"{100 * (1 - 2 * alpha):g}% interval"
    return _table(("metric", "mean", level, "n", "unscored", "base model"), lines)


def _bounds(data: ReportData, suite: str, metric: str, alpha: float) -> str:
    table = data.results[data.decision.candidate][suite].table()
    found = value_interval(table, metric, alpha)
    lower, upper = (value if abs(value) != float("inf") else None for value in (found.lower, found.upper))
    return interval(lower, upper, with_sign=False)


def _rules(decision: Decision) -> str:
    lines = [
        f"- {SYMBOLS[reason.outcome]} {escaped(reason.text)}"
        for reason in decision.reasons
        if not blocks_nothing(reason)
    ]
    num_slices = len(decision.reasons) - len(lines)
    if num_slices:
        lines.append(
            f"- {num_slices} slices are proven or undecided and block nothing; the promotion report lists them"
        )
    return "\n".join(lines)


def _training(data: ReportData) -> str:
    run = data.training[data.decision.candidate]
    share = 100 * run.trainable_parameters / run.total_parameters if run.total_parameters else 0.0
    facts = [
        ("examples", count(run.num_examples)),
        ("tokens, all epochs", count(run.num_tokens)),
        ("trained parameters", f"{count(run.trainable_parameters)} of {count(run.total_parameters)} ({share:.2f}%)"),
        ("selected epoch", f"{run.selected_epoch}: {escaped(run.selected_because)}"),
        *((escaped(name), escaped(str(value))) for name, value in sorted(run.effective.items())),
    ]
    return _table(("", ""), facts)


def _limits(data: ReportData) -> str:
    decision = data.decision
    undecided = [
        reason for reason in decision.reasons if reason.outcome is Outcome.UNDECIDED and not blocks_nothing(reason)
    ]
    lines = [
        f"The verdict holds for the items that were measured, at a one-sided error of {decision.policy.alpha:g} a "
        f"rule, divided by {decision.num_candidates} candidate(s) compared.",
        "Nothing is claimed about what no suite measures.",
    ]
    lines += [escaped(warning) for warning in decision.warnings]
    lines += [f"Not proven: {escaped(reason.text)}" for reason in undecided]
    if decision.verdict is not Verdict.PROMOTE:
        lines.insert(0, f"This model did not pass its promotion gate ({decision.verdict}).")
    worst = [
        pair for pair in data.comparison.pairs if pair.candidate == decision.candidate and (pair.upper or 0.0) < 0.0
    ]
    lines += [
        f"Lower than {escaped(pair.baseline)} on {escaped(f'{pair.suite}/{pair.metric}')}: {signed(pair.difference)} "
        f"{interval(pair.lower, pair.upper)}."
        for pair in worst
    ]
    return "\n".join(f"- {line}" for line in lines)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
