"""Markdown for model hubs and for Prefect: the model card, and the verdict in a few lines."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evalsuite.comparison.rows import Comparison, MetricRow
from evalsuite.core.yaml_file import dump_yaml
from evalsuite.gate.decision import Decision, Verdict
from evalsuite.gate.judging import value_interval
from evalsuite.gate.rules import Outcome
from evalsuite.report.build import VERDICT_WORDS, strongest
from evalsuite.report.data import ReportData
from evalsuite.report.flips import judged_metrics
from evalsuite.report.forest import blocks_nothing
from evalsuite.report.sentences import headline, sentence
from evalsuite.report.text import ABSENT, count, visible
from evalsuite.report.training import continuity_sentence, signal_facts
from evalsuite.report.units import Units, level, point_metrics

SYMBOLS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.UNDECIDED: "❔"}
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
LICENCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
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
    units = Units(point_metrics(data.results))
    sections = [
        f"# {escaped(row.name)}: {escaped(data.base_model)}, fine-tuned ({escaped(row.kind)})",
        f"**Promotion gate: {decision.verdict}.** {VERDICT_WORDS[decision.verdict]}\n\n"
        f"{escaped(headline(decision, units))}.",
        _facts(data),
        "## Evaluation\n\n" + _metrics(data, units),
        "### Rules of the gate\n\n" + _rules(decision, units),
        "## Training\n\n" + (_training(data) if training else "No training log was found."),
        "## Limits\n\n" + _limits(data, units),
    ]
    return "---\n" + _metadata(data) + "---\n\n" + "\n\n".join(sections) + "\n"


def _metadata(data: ReportData) -> str:
    tags = ["text-generation", "fine-tuned", data.comparison.method(data.decision.candidate).kind]
    fields: dict[str, Any] = {}
    if data.licence is not None:
        # The hub knows licences by lower-case ids; `other` with a name stands for every other text.
        is_id = LICENCE_ID.fullmatch(data.licence) is not None
        fields |= {"license": data.licence.lower()} if is_id else {"license": "other", "license_name": data.licence}
    fields |= {"library_name": "transformers", "tags": tags}
    hub_id = data.base_model.partition("@")[0]
    if HUB_ID.fullmatch(hub_id):
        fields["base_model"] = hub_id
    return dump_yaml(fields)


def _facts(data: ReportData) -> str:
    decision, row = data.decision, data.comparison.method(data.decision.candidate)
    facts = {
        "Base model": escaped(data.base_model),
        "Method": f"{escaped(row.name)} ({escaped(row.kind)})",
        "Written": f"{data.written:%Y-%m-%d %H:%M} UTC" if data.written else ABSENT,
        "Model identity": f"`{decision.candidate_identity}`",
        "Decision": f"`{decision.decision_id}`",
        "Code": f"`{escaped(data.git_commit)}`",
        "Licence of the base model": f"{escaped(data.licence)}, stated by {escaped(data.licence_from)}"
        if data.licence
        else "none stated; set `model.licence` in params.yaml. The base model's terms apply",
    }
    return _table(("", ""), [(name, value) for name, value in facts.items()])


def _metrics(data: ReportData, units: Units) -> str:
    decision = data.decision
    row = data.comparison.method(decision.candidate)
    judged = judged_metrics(decision.policy)
    # The level of the gate's own rules, so that the card has one.
    alpha = decision.policy.alpha / decision.num_candidates
    lines = []
    for metric in row.metrics:
        result = data.results.get(decision.candidate, {}).get(metric.suite)
        bounds = ABSENT if metric.mean is None or result is None else _bounds(data, metric, alpha, units)
        mark = " (judged)" if metric.metric in judged.get(metric.suite, {}) else ""
        base = next(
            (found for each in data.comparison.baselines if (found := each.metric(metric.suite, metric.metric))), None
        )
        lines.append(
            (
                escaped(f"{metric.suite}/{metric.metric}") + mark,
                units.value(metric.suite, metric.metric, metric.mean),
                bounds,
                str(metric.n),
                str(metric.unscored),
                units.value(metric.suite, metric.metric, base.mean) if base else ABSENT,
            )
        )
    intro = "Scores from 0 to 1 are in points of 100; the intervals of this table are two-sided.\n\n"
    return intro + _table(("metric", "mean", f"{level(alpha)} interval", "n", "unscored", "base model"), lines)


def _bounds(data: ReportData, metric: MetricRow, alpha: float, units: Units) -> str:
    table = data.results[data.decision.candidate][metric.suite].table()
    found = value_interval(table, metric.metric, alpha)
    lower, upper = (value if abs(value) != float("inf") else None for value in (found.lower, found.upper))
    return units.interval(metric.suite, metric.metric, lower, upper, change=False)


def _rules(decision: Decision, units: Units) -> str:
    lines = [
        f"- {SYMBOLS[reason.outcome]} {escaped(sentence(reason, units))}"
        for reason in decision.reasons
        if not blocks_nothing(reason)
    ]
    num_slices = len(decision.reasons) - len(lines)
    if num_slices:
        what = "1 slice is" if num_slices == 1 else f"{num_slices} slices are"
        block = "blocks" if num_slices == 1 else "block"
        lines.append(
            f"- {what} proven or undecided and {block} nothing; the promotion report lists "
            f"{'it' if num_slices == 1 else 'them'}"
        )
    return "\n".join(lines)


def _training(data: ReportData) -> str:
    run = data.training[data.decision.candidate]
    share = 100 * run.trainable_parameters / run.total_parameters if run.total_parameters else 0.0
    facts = [
        ("examples", count(run.num_examples)),
        ("tokens, all epochs", count(run.num_tokens)),
        ("trained parameters", f"{count(run.trainable_parameters)} of {count(run.total_parameters)} ({share:.2f}%)"),
        *(
            [("learning rates tried", escaped(", ".join(f"{r.learning_rate:g}" for r in run.rates)))]
            if run.rates
            else []
        ),
        ("selected epoch", f"{run.selected_epoch} of {len(run.epochs)}, by the golden dev set"),
        *((name, escaped(value)) for name, value in signal_facts(run)),
        *((escaped(name), escaped(str(value))) for name, value in sorted(run.effective.items())),
    ]
    told = [continuity_sentence(each) for each in data.training.values()]
    return "\n\n".join([_table(("", ""), facts), *(escaped(text) for text in told if text)])


def _limits(data: ReportData, units: Units) -> str:
    decision = data.decision
    undecided = [
        reason for reason in decision.reasons if reason.outcome is Outcome.UNDECIDED and not blocks_nothing(reason)
    ]
    lines = [
        f"The verdict holds for the items that were measured, at a one-sided error of {decision.policy.alpha:g} a "
        f"rule"
        + (f", divided by the {decision.num_candidates} candidates compared." if decision.num_candidates > 1 else "."),
        "Nothing is claimed about what no suite measures.",
    ]
    choice = data.comparison.choice
    for found in data.comparison.seed_sets:
        row = found.metric(choice.suite, choice.metric)
        if found.representative == decision.candidate and row is not None:
            lines.append(
                f"Trained with {len(found.seeds)} seeds, of which the golden dev set chose this one. Between them "
                f"{escaped(f'{choice.suite}/{choice.metric}')} has a standard deviation of "
                f"{units.amount(choice.suite, choice.metric, row.sd)}; intervals here are over items alone."
            )
    lines += [escaped(warning) for warning in decision.warnings]
    lines += [f"Not proven: {escaped(sentence(reason, units))}" for reason in undecided]
    if decision.verdict is not Verdict.PROMOTE:
        lines.insert(0, f"This model did not pass its promotion gate ({decision.verdict}).")
    worst = [
        pair for pair in data.comparison.pairs if pair.candidate == decision.candidate and (pair.upper or 0.0) < 0.0
    ]
    lines += [
        f"Lower than {escaped(pair.baseline)} on {escaped(f'{pair.suite}/{pair.metric}')}: "
        f"{units.change(pair.suite, pair.metric, pair.difference)} {units.name(pair.suite, pair.metric)} "
        f"({level(data.comparison.choice.alpha)} interval "
        f"{units.interval(pair.suite, pair.metric, pair.lower, pair.upper)})."
        for pair in worst
    ]
    return "\n".join(f"- {line}" for line in lines)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
