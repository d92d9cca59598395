"""The candidate's model card, with metadata as the Hugging Face hub reads it."""

import re
from typing import TYPE_CHECKING

from evalsuite.gate.decision import Decision, Verdict
from evalsuite.gate.rules import Outcome
from evalsuite.report.build import VERDICT_WORDS
from evalsuite.report.data import ReportData
from evalsuite.report.facts.measured import Measured, Tables, measured, tables_of
from evalsuite.report.flips import judged_metrics
from evalsuite.report.forest import blocks_nothing
from evalsuite.report.forms.markdown import SYMBOLS
from evalsuite.report.markdown_text import escaped, markdown_table
from evalsuite.report.sentences import headline, sentence
from evalsuite.report.text import ABSENT, count, visible
from evalsuite.report.training import continuity_sentence, signal_facts
from evalsuite.report.units import Units, level, point_metrics

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
LICENCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
NOT_A_SLUG = re.compile(r"[^a-z0-9_.-]+")
TASK = "text-generation"


def build_model_card(data: ReportData) -> str:
    """A Hugging Face model card of the candidate: metadata, training, evaluation, limits, verdict."""
    decision, comparison = data.decision, data.comparison
    row = comparison.method(decision.candidate)
    training = data.training.get(decision.candidate)
    units, tables = Units(point_metrics(data.results)), tables_of(data)
    sections = [
        f"# {escaped(row.name)}: {escaped(data.base_model)}, fine-tuned ({escaped(row.kind)})",
        f"**Promotion gate: {decision.verdict}.** {VERDICT_WORDS[decision.verdict]}\n\n"
        f"{escaped(headline(decision, units))}.",
        _facts(data),
        "## Evaluation\n\n" + _metrics(data, tables, units),
        "### Rules of the gate\n\n" + _rules(decision, units),
        "## Training data\n\n" + _training_data(data),
        "## Training\n\n" + (_training(data) if training else "No training log was found."),
        "## Limits\n\n" + _limits(data, units),
    ]
    return "---\n" + _metadata(data, tables) + "---\n\n" + "\n\n".join(sections) + "\n"


def _metadata(data: ReportData, tables: Tables) -> str:
    """The block of YAML at the head of a card, written and checked by the hub's own library.

    Source: https://huggingface.co/docs/hub/model-cards and the specification of ``model-index`` in hub-docs.
    """
    from huggingface_hub import ModelCardData
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # it is documented there

    def published(name: str) -> bool:
        try:
            validate_repo_id(name)
        except HFValidationError:
            return False
        return HUB_ID.fullmatch(name) is not None

    row = data.comparison.method(data.decision.candidate)
    licence, licence_name = None, None
    if data.licence is not None:
        # The hub knows licences by lower-case ids; `other` with a name stands for every other text.
        is_id = LICENCE_ID.fullmatch(data.licence) is not None
        licence, licence_name = (data.licence.lower(), None) if is_id else ("other", visible(data.licence))
    base = data.base_model.partition("@")[0]
    is_published = published(base)
    fields = ModelCardData(
        license=licence,
        license_name=licence_name,
        library_name="transformers",
        pipeline_tag=TASK,
        tags=[TASK, "fine-tuned", visible(row.kind)],
        datasets=[name for name in data.datasets if published(name)] or None,
        model_name=visible(row.name),
        eval_results=eval_results(data, tables) or None,
        base_model=base if is_published else None,
        **({"base_model_relation": "finetune"} if is_published else {}),  # type: ignore[arg-type]  # any other field
    )
    return f"{fields.to_yaml()}\n"


def eval_results(data: ReportData, tables: Tables) -> "list[EvalResult]":
    """Every mean of the candidate, for the card's ``model-index``; values are the metrics' own, not points."""
    from huggingface_hub import EvalResult

    alpha = data.decision.policy.alpha / data.decision.num_candidates
    found = []
    for metric in data.comparison.method(data.decision.candidate).metrics:
        table = tables.get(data.decision.candidate, {}).get(metric.suite)
        value = measured(metric, table, alpha)
        if value is None or value.mean is None:
            continue
        suite, name = visible(metric.suite), visible(metric.metric)
        arguments = {"n": value.n, "unscored": value.unscored}
        known = {"lower": value.lower, "upper": value.upper}
        bounds = {end: round(bound, 6) for end, bound in known.items() if bound is not None}
        found.append(
            EvalResult(
                task_type=TASK,
                dataset_type=NOT_A_SLUG.sub("-", suite.lower()).strip("-") or "suite",
                dataset_name=suite,
                dataset_args={"items_sha256": table.info.items_sha256} if table else None,
                metric_type=NOT_A_SLUG.sub("-", name.lower()).strip("-") or "metric",
                metric_name=f"{suite}/{name}",
                metric_value=round(value.mean, 6),
                metric_args={**arguments, **({**bounds, "level": round(1 - 2 * alpha, 6)} if bounds else {})},
            )
        )
    return found


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
    return markdown_table(("", ""), [(name, value) for name, value in facts.items()])


def _metrics(data: ReportData, tables: Tables, units: Units) -> str:
    decision = data.decision
    row = data.comparison.method(decision.candidate)
    judged = judged_metrics(decision.policy)
    # The level of the gate's own rules, so that the card has one.
    alpha = decision.policy.alpha / decision.num_candidates
    lines = []
    for metric in row.metrics:
        table = tables.get(decision.candidate, {}).get(metric.suite)
        bounds = _bounds(metric.suite, measured(metric, table, alpha), units, metric.metric) if table else ABSENT
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
    return intro + markdown_table(("metric", "mean", f"{level(alpha)} interval", "n", "unscored", "base model"), lines)


def _bounds(suite: str, value: Measured | None, units: Units, metric: str) -> str:
    if value is None or value.mean is None:
        return ABSENT
    return units.interval(suite, metric, value.lower, value.upper, change=False)


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


def _training_data(data: ReportData) -> str:
    counts = data.data_counts
    if counts is None:
        return "Preparation left no report."
    facts = [("rows read", count(counts.rows_read)), ("could not be read", count(counts.bad_rows.count))]
    facts += [(f"left out: {escaped(reason)}", count(found.count)) for reason, found in counts.dropped.items()]
    facts += [(f"changed by {escaped(step.name)}", count(step.changed)) for step in counts.steps if step.changed]
    facts += [
        (f"{escaped(side)} rows", f"{count(split.rows)}, {count(split.tokens)} tokens")
        for side, split in counts.splits.items()
    ]
    facts += [(f"source {escaped(name)}", f"sha256 `{escaped(digest)}`") for name, digest in counts.sources.items()]
    return (
        markdown_table(("", ""), facts)
        + "\n\nLanguages, topics and the headings of the EU's summary of training content "
        "are in the data card, `data/prepared/data_card.md`."
    )


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
    return "\n\n".join([markdown_table(("", ""), facts), *(escaped(text) for text in told if text)])


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
