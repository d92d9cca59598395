"""The promotion report: one HTML file that opens offline and trusts nothing it shows.

Templates escape by default, and every text goes through ``visible`` on its way out. The page holds no address; its
content security policy allows one style sheet and one script, both ours and by hash, and nothing else.
"""

import base64
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from evalsuite.comparison.rows import MetricRow, ModelRow, PairedRow
from evalsuite.core.yaml_file import dump_yaml
from evalsuite.gate.decision import Decision, Reason, Verdict
from evalsuite.gate.rules import Outcome
from evalsuite.items.results import ItemResult
from evalsuite.report import text
from evalsuite.report.data import ReportData
from evalsuite.report.facts.all import facts_of
from evalsuite.report.facts.changed import flip_groups
from evalsuite.report.facts.history import time_charts
from evalsuite.report.facts.measured import changed_results, tables_of
from evalsuite.report.facts.safety import safety_chart
from evalsuite.report.facts.suites import MAX_SLICES
from evalsuite.report.facts.tradeoff import tradeoff_chart
from evalsuite.report.flips import (
    LEAST_CHANGE,
    MAX_ITEMS,
    judged_metrics,
    may_be_shown,
    unscored_reasons,
)
from evalsuite.report.forest import blocks_nothing, forest, levels_of
from evalsuite.report.item_data import all_items, worst_items
from evalsuite.report.operating import operating_chart
from evalsuite.report.sentences import deciding_outcome, headline, sentence
from evalsuite.report.training import training_of
from evalsuite.report.units import Units, level, point_metrics

NUM_STRONGEST = 3
ITEM_PAGE = "items.html"
"""The side file with every changed item; where it grows large, further ones follow it."""
SAFETY_SUITES = ("harmbench", "xstest")
"""Suites that say something only together."""
VERDICT_WORDS = {
    Verdict.PROMOTE: "Every guard is proven to hold and the required gain is proven.",
    Verdict.REJECT: "At least one rule is proven not to hold.",
    Verdict.INCONCLUSIVE: "The evidence proves neither that the rules hold nor that one fails.",
}
NEXT_STEPS = {
    Verdict.PROMOTE: "It may become the champion, once its bytes are verified again.",
    Verdict.REJECT: "The present model stays.",
    Verdict.INCONCLUSIVE: "Only a PROMOTE promotes, so the present model stays.",
}


@dataclass(frozen=True)
class QualityRow:
    """One metric over all models, in the order of the columns."""

    suite: str
    metric: str
    judged: bool
    """Whether a rule, or the choice of the candidate, looks at it."""
    cells: tuple[MetricRow | None, ...]

    @property
    def n(self) -> int | None:
        """Scored items where they are as many for every model and none is unscored, else None."""
        counts = {(cell.n, cell.unscored) for cell in self.cells if cell is not None}
        return next(iter(counts))[0] if len(counts) == 1 and not next(iter(counts))[1] else None


@dataclass(frozen=True)
class MustPass:
    """One must-pass rule with the items that did not pass it."""

    reason: Reason
    items: tuple[ItemResult, ...]


@dataclass(frozen=True)
class Unscored:
    """Unscored items of one metric of one model."""

    model: str
    suite: str
    metric: MetricRow
    reasons: tuple[tuple[str, int], ...]


def build_html(data: ReportData) -> str:
    """Render the report; the same data gives the same text."""
    context = _context(data)
    items = worst_items(context["flip_groups"], context["units"])
    return _environment().get_template("promotion.html.jinja").render(**_shell(), **context, items=items)


def build_item_pages(data: ReportData) -> Iterator[tuple[str, str]]:
    """File name and text of the pages that hold every changed item; they lie beside the report."""
    groups, units = flip_groups(data), Units(point_metrics(data.results))
    template = _environment().get_template("all_items.html.jinja")
    shared = {
        **_shell(),
        "data": data,
        "decision": data.decision,
        "changed_results": changed_results(data, tables_of(data)),
    }
    for number, items in enumerate(all_items(groups, units), 1):
        yield item_page_name(number), template.render(**shared, items=items, number=number, page_name=item_page_name)


def item_page_name(number: int) -> str:
    """Name of the side file of that number, from 1."""
    return ITEM_PAGE if number == 1 else f"items-{number}.html"


def _shell() -> dict[str, Any]:
    """What each page holds whatever it shows: our style and script, not escaped so that their hashes hold."""
    folder = resources.files("evalsuite.report") / "templates"
    shell: dict[str, Any] = {"item_page": ITEM_PAGE}
    for name, files in (("style", ("style.css", "facts.css")), ("script", ("items.js",))):
        text = "".join((folder / file).read_text(encoding="utf-8") for file in files)
        digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
        shell |= {name: Markup(text), f"{name}_hash": f"sha256-{digest}"}  # noqa: S704
    return shell


def strongest(decision: Decision) -> tuple[Reason, ...]:
    """The reasons that decided the verdict, at most three, in the decision's order.

    A cost limit that holds is exact, so it is always "strong"; it tells a reader less than what was estimated.
    """
    deciding = deciding_outcome(decision.verdict)

    def key(reason: Reason) -> tuple[bool, bool]:
        return reason.outcome is not deciding, reason.outcome is Outcome.PASS and reason.method == "exact"

    return tuple(sorted(decision.reasons, key=key)[:NUM_STRONGEST])


def beside_headline(decision: Decision) -> tuple[Reason, ...]:
    """The strongest reasons that the headline does not tell already."""
    if decision.verdict is Verdict.PROMOTE:
        return strongest(decision)
    return tuple(reason for reason in strongest(decision) if reason != decision.reasons[0])


def _context(data: ReportData) -> dict[str, Any]:
    decision, comparison = data.decision, data.comparison
    units = Units(point_metrics(data.results))
    models: list[ModelRow] = [*comparison.baselines, *comparison.methods]
    quality = _quality(data, models)
    names = [row.name for row in comparison.methods]
    return {
        "data": data,
        "decision": decision,
        "comparison": comparison,
        "verdict": decision.verdict.value,
        "headline": headline(decision, units),
        "units": units,
        "told": lambda reason: sentence(reason, units),
        "choice": comparison.choice,
        "choice_level": level(comparison.choice.alpha),
        "verdict_words": VERDICT_WORDS[decision.verdict],
        "next_step": NEXT_STEPS[decision.verdict],
        "strongest": beside_headline(decision),
        "counts": {outcome.value: sum(reason.outcome is outcome for reason in decision.reasons) for outcome in Outcome},
        "panels": forest(decision.reasons, units),
        "main_reasons": [reason for reason in decision.reasons if not blocks_nothing(reason)],
        "slice_reasons": [reason for reason in decision.reasons if blocks_nothing(reason)],
        "models": models,
        "method_names": names,
        "quality": quality,
        "safety": [row for row in quality if row.suite in SAFETY_SUITES],
        "method_pairs": [pair for pair in comparison.pairs if _is_choice(pair, data) and pair.baseline in names],
        "choice_pairs": [pair for pair in comparison.pairs if _is_choice(pair, data)],
        "other_pairs": [pair for pair in comparison.pairs if not _is_choice(pair, data)],
        "training": [training_of(run) for run in data.training.values()],
        "flip_groups": flip_groups(data),
        "least_change": LEAST_CHANGE,
        "max_items": MAX_ITEMS,
        "must_pass": _must_pass(data),
        "unscored": _unscored(data, models),
        "params_text": dump_yaml(dict(data.params)) if data.params else "",
        "operating": operating_chart(decision.self_test, decision.policy),
        "alpha_each": decision.policy.alpha / decision.num_candidates,
        "level_each": level(decision.policy.alpha / decision.num_candidates),
        **_facts(data, units, models),
        "more_items": max((reason.more_items or 0 for reason in decision.reasons if reason.slice is None), default=0),
    }


def _facts(data: ReportData, units: Units, models: list[ModelRow]) -> dict[str, Any]:
    """What the sections beyond the verdict show, and their plots."""
    facts = facts_of(data)
    alpha = data.decision.policy.alpha / data.decision.num_candidates
    return {
        "facts": facts,
        "measured_models": [model.name for model in models if model.name in data.results],
        "max_slices": MAX_SLICES,
        "tradeoff": tradeoff_chart(facts.tradeoff, units),
        "plane": safety_chart(facts.safety, units, alpha),
        "time_charts": time_charts(facts.timelines, units),
    }


def _is_choice(pair: PairedRow, data: ReportData) -> bool:
    return (pair.suite, pair.metric) == (data.comparison.choice.suite, data.comparison.choice.metric)


def _quality(data: ReportData, models: list[ModelRow]) -> list[QualityRow]:
    """Metrics that a rule judges first, then the rest, by suite."""
    choice = data.comparison.choice
    judged = {(suite, metric) for suite, metrics in judged_metrics(data.decision.policy).items() for metric in metrics}
    judged.add((choice.suite, choice.metric))
    names = sorted({(row.suite, row.metric) for model in models for row in model.metrics})
    rows = [
        QualityRow(suite, metric, (suite, metric) in judged, tuple(model.metric(suite, metric) for model in models))
        for suite, metric in names
    ]
    return sorted(rows, key=lambda row: (not row.judged, row.suite, row.metric))


def _must_pass(data: ReportData) -> list[MustPass]:
    found = []
    for reason in data.decision.reasons:
        if reason.kind != "must_pass":
            continue
        result = data.results.get(data.decision.candidate, {}).get(reason.suite)
        items = {item.item_id: item for item in result.items} if result else {}
        failed = [items[each] for each in reason.item_ids if each in items]
        found.append(MustPass(reason, tuple(may_be_shown(reason.suite, item) for item in failed[:MAX_ITEMS])))
    return found


def _unscored(data: ReportData, models: list[ModelRow]) -> list[Unscored]:
    found = []
    for model in models:
        for row in model.metrics:
            if not row.unscored:
                continue
            result = data.results.get(model.name, {}).get(row.suite)
            items = (
                [may_be_shown(row.suite, item) for item in result.items if row.metric in item.metrics] if result else []
            )
            found.append(Unscored(model.name, row.suite, row, tuple(unscored_reasons(items))))
    return found


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("evalsuite.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=text.number,
        signed=text.signed,
        duration=text.duration,
        size=text.size,
        count=text.count,
        clip=text.clip,
        humanise=_humanise,
        # JSON in which item_data escaped what could end the element.
        as_script_data=Markup,
    )
    environment.globals.update(money=text.money, named_value=text.named_value, levels_of=levels_of)
    return environment


def _shown(value: Any) -> Any:
    """What a template expression prints: None as a dash, and no character that hides."""
    if value is None:
        return text.ABSENT
    return text.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _humanise(name: str) -> str:
    return name.replace("_", " ")
