import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.comparison.methods import MethodEvidence, ModelEvidence, compare_methods
from evalsuite.comparison.rows import Comparison, MethodChoice, read_comparison
from evalsuite.core.errors import NotComparableError, UsageError
from evalsuite.core.files import write_json
from evalsuite.items.results import ItemResult, Prefix, SuiteInfo, SuiteResult, items_sha256
from evalsuite.stats.paired import paired_interval

CHOICE = MethodChoice(suite="golden", metric="exact", margin=0.05, alpha=0.05)


def suites(name: str, scores: Sequence[float | None], **info: Any) -> Mapping[str, SuiteResult]:
    """One suite with one metric; None is unscored."""
    items = tuple(
        ItemResult(
            item_id=f"i{i:04d}",
            item_hash=f"h{i}",
            metrics=("exact",),
            scores={} if score is None else {"exact": score},
            unscored="no answer" if score is None else None,
        )
        for i, score in enumerate(scores)
    )
    fields = {"suite_version": "1", "items_sha256": items_sha256(items), "model_identity": f"identity-{name}", **info}
    measured = SuiteInfo.model_validate({"suite": "golden", **fields})
    return {"golden": SuiteResult(measured, items, 1.0)}


def method(name: str, scores: Sequence[float | None], seconds: float, **info: Any) -> MethodEvidence:
    costs = {"train_seconds": seconds - 1.0, "eval_seconds": 1.0, "num_bytes": 10.0}
    return MethodEvidence(name, suites(name, scores, **info), costs, kind="lora", selected_epoch=1)


def right(count: int, n: int = 400) -> list[float | None]:
    return [1.0] * count + [0.0] * (n - count)


BASE = ModelEvidence("base", suites("base", right(200)), {"eval_seconds": 2.0})


@pytest.mark.parametrize(
    ("full", "qlora", "expected", "words"),
    [
        # 400 nested items: 352 against 360 right is a loss of 0.020, exact bounds well above -0.05.
        (360, 352, "qlora", "difference -0.020"),
        (360, 300, "full", "is not proven within 0.050"),
        (360, 360, "qlora", "no method costs less"),
        (340, 360, "qlora", "no method costs less"),
    ],
)
def test_the_cheapest_method_proven_close_to_the_best_is_chosen(
    full: int, qlora: int, expected: str, words: str
) -> None:
    found = compare_methods([method("full", right(full), 60.0), method("qlora", right(qlora), 10.0)], [BASE], CHOICE)
    assert found.candidate == expected
    assert words in found.chosen_because


def stopped(evidence: MethodEvidence, num: int, ended: str, of: int = 400) -> MethodEvidence:
    """The same method, stopped after its first items."""
    result = evidence.suites["golden"]
    items = result.items[:num]
    prefix = Prefix.model_validate(
        {
            "num_items": of,
            "order_seed": result.info.items_sha256,
            "num_ordered": num,
            "run_sha256": items_sha256(items),
            "ended": ended,
        }
    )
    cut = SuiteResult(result.info.model_copy(update={"prefix": prefix}), items, 1.0)
    return dataclasses.replace(evidence, suites={"golden": cut})


def test_methods_that_stopped_at_different_items_are_compared_on_those_that_both_have() -> None:
    wrong_first: list[float | None] = [0.0] * 100 + [1.0] * 300
    full, qlora = method("full", right(300), 60.0), method("qlora", wrong_first, 60.0)
    found = compare_methods([stopped(full, 200, "decided"), stopped(qlora, 120, "decided")], [BASE], CHOICE)
    assert found.candidate == "full"
    assert "compared on what all methods ran: 120 of 400 items of golden" in found.chosen_because
    assert [row.metrics[0].n for row in found.methods] == [120, 120]
    assert {row.n for row in found.pairs} == {120}
    assert found.methods[1].metrics[0].mean == pytest.approx(20 / 120)


def test_a_method_that_is_proven_broken_is_not_chosen_and_does_not_cut_the_others_short() -> None:
    full, qlora = method("full", right(400), 60.0), method("qlora", right(300), 10.0)
    found = compare_methods([stopped(full, 10, "violation"), stopped(qlora, 300, "decided")], [BASE], CHOICE)
    assert found.candidate == "qlora"
    assert "full was stopped, since something is proven broken" in found.chosen_because
    assert [row.metrics[0].n for row in found.methods] == [10, 300]


def test_when_every_method_was_stopped_before_the_metric_of_the_choice_the_gate_still_gets_one() -> None:
    full, qlora = method("full", right(400), 60.0), method("qlora", right(300), 10.0)
    found = compare_methods([stopped(full, 0, "violation"), stopped(qlora, 0, "violation")], [BASE], CHOICE)
    assert found.candidate == "full"
    assert "no method ran an item of golden/exact" in found.chosen_because


def test_the_choice_says_both_means_the_interval_and_the_price() -> None:
    found = compare_methods(
        [method("full", right(360), 60.0), method("qlora", right(352), 10.0)], [BASE], CHOICE, price_per_hour=3.6
    )
    for part in ("qlora 0.880, full 0.900", "difference -0.020 [-0.0", "full costs 6.0 times as much: qlora"):
        assert part in found.chosen_because
    assert found.method("full").cost == pytest.approx(0.06)


def test_without_a_price_the_quicker_method_is_the_cheaper_one() -> None:
    found = compare_methods([method("full", right(360), 60.0), method("qlora", right(352), 10.0)], [BASE], CHOICE)
    assert "full takes 6.0 times as long" in found.chosen_because
    assert found.method("full").cost is None


def test_a_cheaper_method_with_few_items_is_not_proven_close() -> None:
    found = compare_methods([method("full", right(9, 10), 60.0), method("qlora", right(9, 10), 10.0)], [BASE], CHOICE)
    assert found.candidate == "qlora", "equal means: the cheaper one is the best itself"
    found = compare_methods([method("full", right(10, 10), 60.0), method("qlora", right(9, 10), 10.0)], [], CHOICE)
    assert found.candidate == "full"


def test_lower_is_better_where_the_choice_says_so() -> None:
    choice = CHOICE.model_copy(update={"direction": "lower"})
    found = compare_methods([method("full", right(10), 60.0), method("qlora", right(100), 10.0)], [], choice)
    assert found.candidate == "full"
    found = compare_methods([method("full", right(10), 60.0), method("qlora", right(12), 10.0)], [], choice)
    assert found.candidate == "qlora"


def test_a_method_without_any_score_cannot_be_chosen() -> None:
    silent = method("qlora", [None] * 400, 10.0)
    found = compare_methods([method("full", right(10), 60.0), silent], [BASE], CHOICE)
    assert found.candidate == "full"
    assert "qlora has no scored item" in found.chosen_because
    assert found.method("qlora").metrics[0].unscored == 400
    with pytest.raises(UsageError, match="no method has a scored item for golden/exact"):
        compare_methods([silent], [BASE], CHOICE)


def test_unscored_items_count_against_the_cheaper_method() -> None:
    gaps: list[float | None] = [*right(352, 380), *([None] * 20)]
    best = [*right(355, 380), *([1.0] * 20)]
    found = compare_methods([method("full", best, 60.0), method("qlora", gaps, 10.0)], [], CHOICE)
    assert found.candidate == "full"
    assert found.pairs[0].unscored == 20


def test_an_unknown_cost_is_never_the_cheapest() -> None:
    free = MethodEvidence("qlora", suites("qlora", right(360)), {}, kind="qlora", selected_epoch=None)
    found = compare_methods([method("full", right(360), 60.0), free], [], CHOICE)
    assert found.candidate == "full"
    assert found.method("qlora").cost is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("decoding", {"max_new_tokens": 9}),
        ("prompt_sha256", "other"),
        ("scorers", {"exact": "2"}),
        ("suite_version", "2"),
    ],
)
def test_methods_measured_differently_are_refused_by_the_field(field: str, value: Any) -> None:
    with pytest.raises(NotComparableError, match=field):
        compare_methods([method("full", right(10), 2.0), method("qlora", right(10), 2.0, **{field: value})], [], CHOICE)


def test_a_baseline_measured_differently_has_no_interval_and_says_why() -> None:
    other = ModelEvidence("base", suites("base", right(10), prompt_sha256="other"), {})
    found = compare_methods([method("full", right(10), 2.0)], [other], CHOICE)
    assert found.pairs[0].difference is None
    assert found.pairs[0].method.startswith("not comparable: prompt_sha256")


def test_results_of_two_models_in_one_folder_are_refused() -> None:
    mixed = {**suites("full", right(10)), "other": suites("qlora", right(10))["golden"]}
    with pytest.raises(UsageError, match="results of 2 models"):
        compare_methods([MethodEvidence("full", mixed, {}, kind="full", selected_epoch=1)], [], CHOICE)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 80))
def test_paired_rows_agree_with_the_interval_and_with_their_means(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    left, right_ = rng.random(n).round(2), rng.random(n).round(2)
    found = compare_methods([method("full", left.tolist(), 2.0), method("qlora", right_.tolist(), 2.0)], [], CHOICE)
    (pair,) = found.pairs
    expected = paired_interval(left, right_, None, CHOICE.alpha)
    assert (pair.candidate, pair.baseline, pair.n) == ("full", "qlora", n)
    assert pair.difference == pytest.approx(left.mean() - right_.mean(), abs=1e-9)
    assert (pair.lower, pair.upper) == (
        pytest.approx(expected.lower, abs=1e-9),
        pytest.approx(expected.upper, abs=1e-9),
    )


@settings(max_examples=20, deadline=None)
@given(st.permutations(["full", "qlora", "dora"]), st.integers(0, 2**32 - 1))
def test_the_order_of_methods_does_not_change_the_choice(order: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = {name: (rng.random(60) < 0.7).astype(float).tolist() for name in ("full", "qlora", "dora")}
    seconds = {"full": 30.0, "qlora": 10.0, "dora": 20.0}
    named = [method(name, columns[name], seconds[name]) for name in ("full", "qlora", "dora")]
    shuffled = [method(name, columns[name], seconds[name]) for name in order]
    assert compare_methods(named, [], CHOICE).candidate == compare_methods(shuffled, [], CHOICE).candidate


def test_a_comparison_survives_its_file(tmp_path: Path) -> None:
    found = compare_methods([method("full", right(10), 60.0), method("qlora", [None] * 400, 10.0)], [BASE], CHOICE)
    write_json(tmp_path / "comparison.json", found)
    assert read_comparison(tmp_path / "comparison.json") == found
    assert Comparison.model_validate_json(found.model_dump_json()) == found


def test_an_unknown_schema_version_is_refused_with_both_numbers(tmp_path: Path) -> None:
    write_json(tmp_path / "comparison.json", {"schema_version": 7})
    with pytest.raises(UsageError, match=r"schema_version 7, this version reads 1.*ratchet stage compare"):
        read_comparison(tmp_path / "comparison.json")
