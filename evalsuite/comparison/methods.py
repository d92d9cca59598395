"""Methods side by side on the same items, and which of them is the candidate.

The choice: the best mean on one metric; then the cheapest method that is proven not worse than the best by more than a
margin. All methods run on one machine, so the cheapest in money is the quickest in training and evaluation. The gate
pays for the choice: it divides alpha by the number of methods that were compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

from evalsuite.comparison.common_items import is_sequential, num_run, on_common_items, was_stopped
from evalsuite.comparison.rows import Comparison, MethodChoice, MethodRow, MetricRow, ModelRow, PairedRow
from evalsuite.comparison.seeds import Seeded, open_orders, seed_set, told
from evalsuite.comparison.words import difference, figure, joined
from evalsuite.core.direction import Direction
from evalsuite.core.errors import NotComparableError, UsageError
from evalsuite.gate.decision import Reason
from evalsuite.gate.judging import Check
from evalsuite.gate.pairing import columns_of, difference_between, sort_by_id
from evalsuite.gate.rules import Guard, Outcome
from evalsuite.items.results import EvalReport, SuiteResult


@dataclass(frozen=True)
class ModelEvidence:
    """One model's results and costs."""

    name: str
    suites: Mapping[str, SuiteResult]
    costs: Mapping[str, float]
    """What costs.json holds: eval_seconds, num_bytes, train_seconds, peak_memory_bytes, adapter_bytes, num_tokens."""

    @property
    def identity(self) -> str:
        """The model that all suites were run on.

        Raises:
            UsageError: Suites were run on different models, or no suite was run.
        """
        found = sorted({result.info.model_identity for result in self.suites.values()})
        if len(found) != 1:
            seen = ", ".join(each[:12] for each in found) or "none"
            raise UsageError(f"evals/{self.name} holds results of {len(found)} models ({seen}); run `ratchet run`")
        return found[0]


@dataclass(frozen=True)
class MethodEvidence(ModelEvidence):
    """A method's results, costs and training."""

    kind: str
    selected_epoch: int | None


class _Pairing(NamedTuple):
    candidate: EvalReport
    baseline: EvalReport


def compare_methods(
    methods: Sequence[MethodEvidence],
    baselines: Sequence[ModelEvidence],
    choice: MethodChoice,
    price_per_hour: float | None = None,
    currency: str = "USD",
    seeded: Sequence[Seeded] = (),
) -> Comparison:
    """Put methods side by side and choose one; a pure function of its arguments.

    A baseline that is not comparable gets no interval, with the reason; the gate then says INCONCLUSIVE. Of methods
    that differ in the seed alone, the one that dev items chose is compared; the others show how far seeds lie apart.

    Args:
        methods: At least one.
        baselines: ``base`` and, where there is one, ``champion``.
        choice: The metric and the margin.
        price_per_hour: Price of the machine for an hour, in ``currency``; costs are unknown when None.
        currency: For the reader.
        seeded: Methods that differ in the seed alone, set by set.

    Raises:
        NotComparableError: Two methods were not measured alike; the message names the field.
        UsageError: No method has a score for the metric of the choice.
    """
    if not methods:
        raise UsageError("no method to compare; name at least one under `methods` in params.yaml")
    others = {name for each in seeded for name in each.seeds if name != each.representative}
    entered = [method for method in methods if method.name not in others]
    running = [method for method in entered if not was_stopped(method.suites)] or entered
    alike, reports, note = _alike(running, baselines)
    pairs = _all_pairs(alike, baselines, reports, choice)
    rows = {method.name: _method_row(method, price_per_hour, currency) for method in alike}
    # What was stopped stays in the table, on the items that it has, since the gate pays for every method compared.
    # So do the other seeds of a method.
    for method in methods:
        if method.name in rows:
            continue
        own, own_reports, _ = _alike([method], baselines)
        pairs += _all_pairs(own, baselines, own_reports, choice)
        rows[method.name] = _method_row(own[0], price_per_hour, currency)
        if method.name not in others:
            note = joined(f"{method.name} was stopped, since a rule is proven broken", [note] if note else [])
    eligible = tuple(rows[method.name] for method in running)
    if note and not any(_mean(row, choice) is not None for row in eligible):
        chosen = min(running, key=lambda method: (-num_run(method.suites), method.name)).name
        because = f"no method ran an item of {choice.suite}/{choice.metric}; {chosen} ran the most items"
    else:
        chosen, because = _choose(eligible, reports, choice)
    sets = tuple(seed_set(each, list(rows.values())) for each in seeded)
    notes = [*([note] if note else []), *told(sets, choice), *open_orders(sets, eligible, choice)]
    return Comparison(
        candidate=chosen,
        chosen_because=joined(because, notes),
        choice=choice,
        methods=tuple(rows[method.name] for method in methods),
        baselines=tuple(_model_row(each) for each in baselines),
        pairs=tuple(pairs),
        seed_sets=sets,
    )


def _alike(
    methods: Sequence[MethodEvidence], baselines: Sequence[ModelEvidence]
) -> tuple[list[MethodEvidence], dict[str, EvalReport], str]:
    """The methods, and the reports of all models, on the items that all methods have; and which those are."""
    if not any(is_sequential(method.suites) for method in methods):
        return list(methods), {each.name: _report(each) for each in (*methods, *baselines)}, ""
    suites, own, note = on_common_items([each.suites for each in methods], [each.suites for each in baselines])
    alike = [replace(each, suites=cut) for each, cut in zip(methods, suites, strict=True)]
    cut_baselines = [replace(each, suites=cut) for each, cut in zip(baselines, own, strict=True)]
    return alike, {each.name: _report(each) for each in (*alike, *cut_baselines)}, note


def _all_pairs(
    methods: Sequence[MethodEvidence],
    baselines: Sequence[ModelEvidence],
    reports: Mapping[str, EvalReport],
    choice: MethodChoice,
) -> list[PairedRow]:
    pairs: list[PairedRow] = []
    for first, second in combinations(methods, 2):
        _check_comparable(reports[first.name], reports[second.name])
        pairs.extend(_paired_rows(_Pairing(reports[first.name], reports[second.name]), choice))
    for method in methods:
        for baseline in baselines:
            pairs.extend(_paired_rows(_Pairing(reports[method.name], reports[baseline.name]), choice))
    return pairs


def _report(model: ModelEvidence) -> EvalReport:
    tables = {name: result.table() for name, result in model.suites.items()}
    return sort_by_id(EvalReport(model.name, model.identity, tables, model.costs))


def _metric_rows(model: ModelEvidence) -> tuple[MetricRow, ...]:
    return tuple(
        MetricRow(suite=name, **summary.model_dump())
        for name, result in sorted(model.suites.items())
        for summary in result.summary().metrics
    )


def _whole(costs: Mapping[str, float], name: str) -> int | None:
    return int(costs[name]) if name in costs else None


def _model_row(model: ModelEvidence) -> ModelRow:
    return ModelRow(
        name=model.name,
        identity=model.identity,
        metrics=_metric_rows(model),
        eval_seconds=model.costs.get("eval_seconds"),
        num_bytes=_whole(model.costs, "num_bytes"),
    )


def _method_row(method: MethodEvidence, price_per_hour: float | None, currency: str) -> MethodRow:
    train, evaluation = method.costs.get("train_seconds"), method.costs.get("eval_seconds")
    cost = None
    if train is not None and evaluation is not None and price_per_hour is not None:
        cost = (train + evaluation) / 3600.0 * price_per_hour
    return MethodRow(
        **_model_row(method).model_dump(),
        kind=method.kind,
        train_seconds=train,
        peak_memory_bytes=_whole(method.costs, "peak_memory_bytes"),
        cost=cost,
        currency=currency,
        adapter_bytes=_whole(method.costs, "adapter_bytes"),
        num_tokens=_whole(method.costs, "num_tokens"),
        selected_epoch=method.selected_epoch,
    )


def _suite_problem(pair: _Pairing, suite: str) -> str | None:
    left, right = pair.candidate.suites[suite], pair.baseline.suites[suite]
    if sorted(left.scores) != sorted(right.scores):
        return f"metrics are {sorted(left.scores)} for the candidate and {sorted(right.scores)} for the other"
    return difference_between(left, right, pair.baseline.model)


def _check_comparable(candidate: EvalReport, baseline: EvalReport) -> None:
    names = f"methods {candidate.model} and {baseline.model} cannot be compared"
    if sorted(candidate.suites) != sorted(baseline.suites):
        raise NotComparableError(
            f"{names}: suites are {sorted(candidate.suites)} and {sorted(baseline.suites)}; run `ratchet run`"
        )
    for suite in candidate.suites:
        problem = _suite_problem(_Pairing(candidate, baseline), suite)
        if problem is not None:
            told = problem.replace("the candidate", candidate.model).replace("the other", baseline.model)
            raise NotComparableError(f"{names} on {suite}: {told}; evaluate both again with `ratchet run`")


def _ask(pair: _Pairing, suite: str, metric: str, choice: MethodChoice) -> Reason:
    """The gate's own question: is the candidate not worse than the baseline by more than the margin?"""
    rule = Guard(suite=suite, metric=metric, direction=Direction(choice.direction), margin=choice.margin)
    columns = columns_of(pair.candidate.suites[suite], pair.baseline.suites[suite], metric)
    # Every share of unscored items is let through, since the interval then takes each one at its worst.
    judge = pair.candidate.suites[suite].info.judges.get(metric)
    return Check(rule, pair.baseline.model, columns, max_unscored_fraction=1.0, judge=judge).answer(choice.alpha)


def _paired_rows(pair: _Pairing, choice: MethodChoice) -> list[PairedRow]:
    rows = []
    for suite, table in pair.candidate.suites.items():
        if suite not in pair.baseline.suites:
            problem: str | None = f"{pair.baseline.model} has no suite {suite}"
        else:
            problem = _suite_problem(pair, suite)
        for metric in table.scores:
            answer = None if problem else _ask(pair, suite, metric, choice)
            rows.append(
                PairedRow(
                    suite=suite,
                    metric=metric,
                    candidate=pair.candidate.model,
                    baseline=pair.baseline.model,
                    candidate_mean=answer.candidate if answer else None,
                    baseline_mean=answer.baseline if answer else None,
                    difference=answer.difference if answer else None,
                    lower=answer.lower if answer else None,
                    upper=answer.upper if answer else None,
                    n=answer.n if answer else 0,
                    unscored=answer.unscored if answer else 0,
                    method=answer.method if answer else f"not comparable: {problem}",
                )
            )
    return rows


def _choose(rows: Sequence[MethodRow], reports: Mapping[str, EvalReport], choice: MethodChoice) -> tuple[str, str]:
    """The chosen method, and why in words."""
    name = f"{choice.suite}/{choice.metric}"
    means = {row.name: _mean(row, choice) for row in rows}
    scored = {method: mean for method, mean in means.items() if mean is not None}
    if not scored:
        known = sorted({f"{metric.suite}/{metric.metric}" for row in rows for metric in row.metrics if metric.n})
        raise UsageError(
            f"no method has a scored item for {name}; scored metrics: {', '.join(known) or 'none'}; "
            "set compare.suite and compare.metric in params.yaml to one of them"
        )
    left_out = [method for method in means if method not in scored]
    notes = [f"{method} has no scored item" for method in left_out]
    by_name = {row.name: row for row in rows}
    sign = -1.0 if choice.direction == "higher" else 1.0
    best = min(scored, key=lambda method: (sign * scored[method], _seconds(by_name[method]), method))
    if len(scored) == 1:
        return best, joined(f"{best} is the only method with a score: {name} {scored[best]:.3f}", notes)
    for method in sorted(scored, key=lambda each: (_seconds(by_name[each]), each)):
        if method == best:
            break
        answer = _ask(_Pairing(reports[method], reports[best]), choice.suite, choice.metric, choice)
        told = f"{method} {figure(answer.candidate)}, {best} {figure(answer.baseline)}, {difference(answer)}"
        if answer.outcome is Outcome.PASS:
            why = f"{name}: {told}, proven within {choice.margin:.3f}, {_cost(by_name[best], by_name[method])}"
            return method, joined(f"{why}: {method}", notes)
        notes.append(f"{method} costs less and is not proven within {choice.margin:.3f} of it: {difference(answer)}")
    else_slower = len(notes) == len(left_out)
    lead = f"{best} has the best {name}, {scored[best]:.3f}"
    return best, joined(lead + (", and no method costs less" if else_slower else ""), notes)


def _mean(row: MethodRow, choice: MethodChoice) -> float | None:
    found = row.metric(choice.suite, choice.metric)
    return found.mean if found else None


def _seconds(row: MethodRow) -> float:
    """Unknown costs are never the cheapest."""
    return float("inf") if row.seconds is None else row.seconds


def _cost(dear: MethodRow, cheap: MethodRow) -> str:
    if dear.seconds is None or not cheap.seconds:
        return f"and the cost of {dear.name} is unknown"
    what = "costs" if dear.cost else "takes"
    unit = "as much" if dear.cost else "as long"
    return f"and {dear.name} {what} {dear.seconds / cheap.seconds:.1f} times {unit}"
