"""Scores of a golden set's answers: text metrics at once, then one pass per model that scores."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from evalsuite.core.errors import UsageError
from evalsuite.engines.base import Generation
from evalsuite.items.results import ItemResult
from evalsuite.judges.base import Judge, JudgeCase, Refusal, RefusalJudge
from evalsuite.judges.choose import outside_of
from evalsuite.network.outside import ContentFile, Model, Outside, Package
from evalsuite.suites.golden_set import reasoning
from evalsuite.suites.golden_set.bertscore import MODEL_KEY, REMEDY, REVISION_KEY, BertScorer
from evalsuite.suites.golden_set.items import GoldenItem
from evalsuite.suites.golden_set.metric_params import BertThreshold, Rubric
from evalsuite.suites.golden_set.metrics import TEXT_METRICS, VERSION, MetricContext, UnscoredError, score_text
from evalsuite.suites.golden_set.settings import GoldenParams

BERT_METRICS = ("bertscore_f1", "bertscore_pass")
REFUSAL_METRICS = ("refusal_expected", "refusal_not_expected")
PACKAGES = {"chrf": "sacrebleu", "rouge_l": "rouge-score"} | dict.fromkeys(BERT_METRICS, "bert-score")
"""Metric -> the distribution that computes it."""


def scorers_of(params: GoldenParams, metrics: Collection[str]) -> Iterator[Outside]:
    """What scores these metrics and is no part of the project."""
    for package in sorted({PACKAGES[metric] for metric in metrics if metric in PACKAGES}):
        yield Package(package)
    if not set(BERT_METRICS).isdisjoint(metrics):
        yield Model(MODEL_KEY, params.bertscore_model, params.bertscore_revision, REVISION_KEY, REMEDY)
        if params.bertscore_baseline is not None:
            yield ContentFile("evaluation.golden.bertscore_baseline", params.bertscore_baseline)
    if params.judge is not None and "judge" in metrics:
        yield from outside_of(params.judge, "evaluation.golden.judge")


@dataclass(frozen=True)
class Scorers:
    """The models that score; the judges are needed only where an item asks for them."""

    bert: BertScorer
    judge: Judge | None = None
    refusals: RefusalJudge | None = None

    def check(self, items: Sequence[GoldenItem], where: str) -> None:
        """Refuse a set that asks for a judge that is not there, before a model is loaded.

        Raises:
            UsageError: Names the item and the metric.
        """
        for item in items:
            if self.judge is None and "judge" in item.params:
                raise UsageError(f"{where}: item {item.id!r} is scored by 'judge', and no judge is configured")
            refusal = [name for name in REFUSAL_METRICS if name in item.params]
            if self.refusals is None and refusal:
                raise UsageError(
                    f"{where}: item {item.id!r} is scored by {refusal[0]!r}, and no refusal judge is configured"
                )

    def version(self, metric: str) -> str:
        """What scores a metric: a change makes results incomparable."""
        return f"{self._scorer_version(metric)}, {reasoning.VERSION}"

    def _scorer_version(self, metric: str) -> str:
        if metric in TEXT_METRICS:
            return VERSION
        if metric in BERT_METRICS:
            return self.bert.version
        judge = self.judge if metric == "judge" else self.refusals
        return judge.version if judge is not None else ""


@dataclass
class _Sheet:
    """One item's scores as they come."""

    item: GoldenItem
    output: Generation
    answer: str
    """What is scored of the output: what follows the reasoning."""
    references: tuple[str, ...]
    scores: dict[str, float] = field(default_factory=dict)
    unscored: list[str] = field(default_factory=list)


def score_items(
    items: Sequence[GoldenItem],
    outputs: Sequence[Generation],
    context: MetricContext,
    scorers: Scorers,
    weighted: frozenset[str] = frozenset(),
    prompts: Sequence[str] | None = None,
) -> tuple[ItemResult, ...]:
    """Score each output by its item's metrics; a metric without a score leaves its reason.

    Args:
        items: What was asked.
        outputs: What was answered, in the same order.
        context: What the metrics may know of the set.
        scorers: The models that score.
        weighted: Metrics that are ratios of sums, since some item of the set has a weight other than 1.
        prompts: What each output completes, as the model read it; a prompt may have begun the reasoning.
    """
    asked = [""] * len(items) if prompts is None else prompts
    sheets = [
        _Sheet(item, output, reasoning.final_answer(output.text, prompt), _answers(item.references))
        for item, output, prompt in zip(items, outputs, asked, strict=True)
    ]
    for sheet in sheets:
        if sheet.output.refusal is not None:
            sheet.unscored.append(sheet.output.refusal)
            continue
        for metric, params in sheet.item.params.items():
            if metric in TEXT_METRICS:
                try:
                    sheet.scores[metric] = score_text(metric, sheet.answer, sheet.references, context, params)
                except UnscoredError as error:
                    sheet.unscored.append(str(error))
    _score_similarity(sheets, scorers.bert)
    if scorers.judge is not None:
        _score_by_rubric(sheets, scorers.judge)
    if scorers.refusals is not None:
        _score_refusals(sheets, scorers.refusals)
    return tuple(_result(sheet, weighted) for sheet in sheets)


def _answers(references: Sequence[str]) -> tuple[str, ...]:
    """References as outputs are read, so that one with reasoning in it is compared by its answer too."""
    return tuple(reasoning.final_answer(reference) or reference for reference in references)


def _asking(sheets: Sequence[_Sheet], *metrics: str) -> list[_Sheet]:
    """The answered items that a scoring model has to look at."""
    return [s for s in sheets if s.output.refusal is None and any(metric in s.item.params for metric in metrics)]


def _score_similarity(sheets: Sequence[_Sheet], scorer: BertScorer) -> None:
    asking = _asking(sheets, *BERT_METRICS)
    values = scorer.f1([sheet.answer for sheet in asking], [sheet.references for sheet in asking])
    for sheet, value in zip(asking, values, strict=True):
        if "bertscore_f1" in sheet.item.params:
            sheet.scores["bertscore_f1"] = value
        limit = sheet.item.params.get("bertscore_pass")
        if isinstance(limit, BertThreshold):
            sheet.scores["bertscore_pass"] = float(value >= limit.threshold)


def _score_by_rubric(sheets: Sequence[_Sheet], judge: Judge) -> None:
    asking = list(_asking(sheets, "judge"))
    cases = [
        JudgeCase(sheet.item.prompt, sheet.answer, rubric.rubric)
        for sheet in asking
        if isinstance(rubric := sheet.item.params["judge"], Rubric)
    ]
    for sheet, verdict in zip(asking, judge.judge(cases, "golden judge") if cases else [], strict=True):
        if verdict.positive is None:
            sheet.unscored.append(f"judge: {verdict.reason or 'no verdict that can be read'}")
        else:
            sheet.scores["judge"] = float(verdict.positive)


def _score_refusals(sheets: Sequence[_Sheet], judge: RefusalJudge) -> None:
    """A partial refusal is neither: it passes as no refusal where one is expected, nor as an answer where one is."""
    asking = _asking(sheets, *REFUSAL_METRICS)
    cases = [JudgeCase(sheet.item.prompt, sheet.answer) for sheet in asking]
    kinds = judge.refusals(cases, "golden refusals") if cases else []
    wanted = {"refusal_expected": Refusal.FULL, "refusal_not_expected": Refusal.NONE}
    for sheet, kind in zip(asking, kinds, strict=True):
        for metric in wanted.keys() & sheet.item.params.keys():
            if kind is None:
                sheet.unscored.append(f"{metric}: the judge gave no verdict that can be read")
            else:
                sheet.scores[metric] = float(kind is wanted[metric])


def _result(sheet: _Sheet, weighted: frozenset[str]) -> ItemResult:
    item = sheet.item
    weights = {metric: item.weight for metric in item.params if metric in weighted}
    return ItemResult(
        item_id=item.id,
        item_hash=item.digest(),
        cluster=item.cluster,
        slices=item.slices,
        must_pass=item.required,
        metrics=item.all_metrics,
        scores={m: sheet.scores[m] * weights.get(m, 1.0) for m in item.params if m in sheet.scores},
        denominators=weights,
        unscored="; ".join(sheet.unscored) or None,
        prompt=item.prompt,
        references=item.references,
        output=sheet.output.text,
        num_prompt_tokens=sheet.output.num_prompt_tokens,
        num_output_tokens=sheet.output.num_output_tokens,
    )


def metric_names(items: Sequence[GoldenItem]) -> Iterator[str]:
    """Every metric of a set, once, sorted."""
    yield from sorted({metric for item in items for metric in item.all_metrics})
