"""Noise is measured on repeats of one model, item by item, and anything else is refused."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalsuite.core.errors import UsageError
from evalsuite.core.files import write_json
from evalsuite.gate_tools.noise import measure_noise, read_noise
from evalsuite.items.results import EvalReport
from tests.evalsuite.gate.test_decide import report
from tests.evalsuite.gate.test_ratio_rules import report as ratio_report


def test_equal_repeats_have_no_noise() -> None:
    own = report({"exact": [1.0, 0.0] * 50})
    (metric,) = measure_noise([own, own, own]).metrics
    assert (metric.floor, metric.flip_fraction, metric.largest_difference, metric.n) == (0.0, 0.0, 0.0, 100)


def test_flips_that_cancel_in_the_mean_are_noise_all_the_same() -> None:
    first, second = [1.0, 0.0] * 100, [0.0, 1.0] * 10 + [1.0, 0.0] * 90
    (metric,) = measure_noise([report({"exact": first}), report({"exact": second})]).metrics
    assert metric.largest_difference == 0.0
    assert metric.flip_fraction == 0.1
    # 20 items flip: their difference has variance 1 each.
    assert metric.floor == pytest.approx(1.6448536 * math.sqrt(20) / 200)


def test_a_shift_that_all_items_share_is_the_floor() -> None:
    first, second = [0.5] * 200, [0.6] * 200
    (metric,) = measure_noise([report({"exact": first}), report({"exact": second})]).metrics
    assert metric.floor == pytest.approx(0.1)


def test_the_floor_holds_for_nineteen_in_twenty_differences_of_repeats() -> None:
    rng = np.random.default_rng(0)
    share = rng.choice([0.0, 1.0, 0.5], 400, p=[0.4, 0.5, 0.1])

    def run() -> EvalReport:
        return report({"exact": (rng.random(400) < share).astype(float)})

    floors, above = [], 0
    for _ in range(40):
        (metric,) = measure_noise([run(), run()]).metrics
        floors.append(metric.floor)
        one, other = (np.mean(run().suites["golden"].scores["exact"]) for _ in range(2))
        above += one - other > metric.floor
    assert np.median(floors) == pytest.approx(1.645 * math.sqrt(2 * 0.25 * 40) / 400, rel=0.25)
    assert above <= 7


def test_a_ratio_s_noise_is_of_its_own_value() -> None:
    first = [(2.0, 3.0), (1.0, 1.0)] * 50
    second = [(1.0, 3.0), (1.0, 1.0)] * 50
    (metric,) = measure_noise([ratio_report(first), ratio_report(second)]).metrics
    assert metric.values == (0.75, 0.5)
    assert metric.floor == pytest.approx(0.25)


def test_items_that_some_repeat_left_unscored_are_counted() -> None:
    holed = report({"exact": [math.nan] + [1.0] * 99})
    (metric,) = measure_noise([holed, report({"exact": [1.0] * 100})]).metrics
    assert (metric.n, metric.unscored) == (99, 1)


def test_what_is_no_repeat_is_refused_by_name() -> None:
    own = report({"exact": [1.0] * 50})
    with pytest.raises(UsageError, match="1 evaluation given"):
        measure_noise([own])
    with pytest.raises(UsageError, match="evaluation 2 is of model other"):
        measure_noise([own, replace(own, identity="other")])
    with pytest.raises(UsageError, match=r"golden: prompt_sha256 is 'b' for evaluation 2 and '' for the first"):
        measure_noise([own, report({"exact": [1.0] * 50}, info={"prompt_sha256": "b"})])


def test_another_sampling_seed_is_a_repeat() -> None:
    first, second = (report({"exact": [1.0] * 50}, info={"decoding": {"seed": seed}}) for seed in (1, 2))
    assert measure_noise([first, second]).num_repeats == 2


def test_floors_come_back_from_disk(tmp_path: Path) -> None:
    noise = measure_noise([report({"exact": [1.0] * 50}), report({"exact": [0.0] + [1.0] * 49})])
    write_json(tmp_path / "noise.json", noise)
    assert read_noise(tmp_path / "noise.json").floors == noise.floors
    assert set(noise.floors) == {"golden/exact"}
