"""Which way a metric is better is known or asked for."""

from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.direction import Direction
from evalsuite.core.errors import UsageError
from evalsuite.gate.decision import Verdict
from evalsuite.gate.directions import direction_by_words, known_direction, unclear_rule
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.rules import Ceiling
from evalsuite.records.evidence import compare_files
from evalsuite.suites.golden_set.metrics import KNOWN_METRICS

H, L = Direction.HIGHER, Direction.LOWER


def table(path: Path, column: str, *scores: float) -> Path:
    path.write_text(f"item_id,{column}\n" + "".join(f"{n},{score}\n" for n, score in enumerate(scores)))
    return path


def policy(metric: str, **more: Any) -> GatePolicy:
    rule = {"suite": "s", "metric": metric, "kind": "target", "min_gain": 0.1, **more}
    return GatePolicy.model_validate({"rules": [rule]})


@pytest.mark.parametrize("metric", KNOWN_METRICS)
def test_the_metrics_of_golden_sets_are_better_higher(metric: str) -> None:
    assert H in (known_direction(metric), direction_by_words(metric))


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("attack_success", L), ("over_refusal", L), ("unsafe_compliance", L), ("bits_per_byte", L), ("wer", L),
        ("pct_stereotype", L), ("exact_match,strict-match", H), ("accuracy_ambiguous", H), ("json_fields", H),
    ],
)  # fmt: skip
def test_the_direction_of_our_own_and_of_lm_evals_metrics_is_known(metric: str, direction: Direction) -> None:
    assert known_direction(metric) is direction


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("loss", L), ("eval_loss", L), ("avg_nll", L), ("latency_ms", L), ("error_rate", L), ("toxicity", L),
        ("hallucination_rate", L), ("asr", L), ("ErrorRate", L), ("my_accuracy", H), ("rougeLsum", H), ("f1", H),
        ("score", H), ("refusal_accuracy", None), ("m", None), ("verbosity", None),
    ],
)  # fmt: skip
def test_the_words_of_a_name_tell_or_do_not(metric: str, direction: Direction | None) -> None:
    assert direction_by_words(metric) is direction


def test_a_loss_that_rose_is_not_promoted_for_want_of_a_direction(tmp_path: Path) -> None:
    base, candidate = table(tmp_path / "a.csv", "loss", *[1.45] * 200), table(tmp_path / "b.csv", "loss", *[2.3] * 200)
    with pytest.raises(UsageError, match=r"which way loss is better is not known; write `direction: higher` or"):
        compare_files(base, candidate, policy("loss"), "s")
    assert compare_files(base, candidate, policy("loss", direction="lower"), "s").verdict is not Verdict.PROMOTE


def test_a_cost_and_a_ceiling_have_no_direction() -> None:
    assert unclear_rule(Ceiling(suite="costs", metric="seconds_per_item", limit=2.0)) is None
    assert unclear_rule(Ceiling(suite="s", metric="loss", limit=2.0)) is None


@pytest.mark.parametrize(
    ("base", "candidate", "direction"), [(0.9, 14.0, "higher"), (1.0, 5.0, "higher"), (40.0, 0.6, "lower")]
)
def test_a_fraction_beside_percent_or_counts_is_two_scales(
    tmp_path: Path, base: float, candidate: float, direction: str
) -> None:
    paths = [table(tmp_path / f"{name}.csv", "f1", *[v] * 200) for name, v in (("a", base), ("b", candidate))]
    metric = "f1" if direction == "higher" else "loss"
    for path in paths:
        path.write_text(path.read_text().replace("f1", metric))
    with pytest.raises(UsageError, match="the scales differ"):
        compare_files(*paths, policy(metric, direction=direction), "s")


def test_a_loss_that_falls_below_one_is_one_scale(tmp_path: Path) -> None:
    base = table(tmp_path / "a.csv", "loss", *[1.4, 0.8] * 100)
    candidate = table(tmp_path / "b.csv", "loss", *[0.9, 0.6] * 100)
    assert compare_files(base, candidate, policy("loss", direction="lower"), "s").verdict is Verdict.PROMOTE
