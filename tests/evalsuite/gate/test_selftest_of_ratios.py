"""The self-test damages ratios, judged metrics and clustered rules in their own units."""

import numpy as np
import pytest

from evalsuite.core.direction import Direction
from evalsuite.gate.operating import changed_by, difference_of
from evalsuite.gate.selftest import self_test
from tests.evalsuite.gate.test_cautions import JUDGED, PEOPLE, judged
from tests.evalsuite.gate.test_decide import GUARD, policy
from tests.evalsuite.gate.test_decide import report as mean_report
from tests.evalsuite.gate.test_ratio_rules import GUARD as RATIO_GUARD
from tests.evalsuite.gate.test_ratio_rules import report


def _rows(seed: int) -> list[tuple[float, float]]:
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 4, 160)
    return [(float(rng.binomial(weight, 0.7)), float(weight)) for weight in weights]


@pytest.mark.parametrize("change", [-0.2, -0.05, 0.05])
@pytest.mark.parametrize("direction", list(Direction))
def test_a_changed_ratio_lies_as_far_from_the_baseline_as_was_asked(change: float, direction: Direction) -> None:
    mine, theirs = (report(_rows(seed)).suites["ifeval"] for seed in (1, 1))
    turn = np.random.default_rng(2).random(160)
    changed = changed_by(mine, theirs, "inst", change, direction, turn)
    sign = 1.0 if direction is Direction.HIGHER else -1.0
    assert difference_of(changed, mine, theirs, "inst") == pytest.approx(sign * change, abs=0.015)
    assert (changed >= 0.0).all()
    assert (changed <= mine.denominators["inst"] + 1e-12).all()


def test_a_damaged_ratio_is_rejected_at_a_loss_in_its_own_unit() -> None:
    own = report(_rows(1))
    found = self_test(own, {"base": own}, policy(RATIO_GUARD), num_candidates=1, seed="s")
    assert found.damaged[0].margins is not None
    assert 1.2 < found.damaged[0].margins < 2.6
    at_margin = next(point for point in found.points if point.change == -1.0)
    assert at_margin.promote <= 0.15
    assert next(point for point in found.points if point.change == -3.0).reject >= 0.9


def test_what_a_judge_or_a_cluster_key_widens_is_no_failure_of_the_gate() -> None:
    known = {"judge": JUDGED[:40], "human": PEOPLE[:40]}
    found = self_test(judged(150, known), {"base": judged(150, known)}, policy(GUARD), num_candidates=1, seed="s")
    assert len(found.damaged) == 1
    queue = [f"q{i % 3}" for i in range(600)]
    own = mean_report({"exact": [1.0] * 600}, queue=queue)
    rules = policy({**GUARD, "cluster": "queue"})
    assert self_test(own, {"base": own}, rules, num_candidates=1, seed="s").damaged[0].margins is None
