"""Which epoch ships, and when to stop."""

import pytest

from evalsuite.core.errors import UsageError
from tasks.training.state.selection import divergence, select_epoch
from tests.tasks.training.records import epoch


@pytest.mark.parametrize(
    ("scores", "direction", "chosen"),
    [
        pytest.param([0.1, 0.3, 0.2], "higher", 2, id="best-in-the-middle"),
        pytest.param([0.3, 0.3, 0.3], "higher", 1, id="earlier-wins-a-tie"),
        pytest.param([0.3, 0.1, 0.1], "lower", 2, id="lower-is-better"),
    ],
)
def test_the_best_epoch_on_dev_is_selected(scores: list[float], direction: str, chosen: int) -> None:
    records = [epoch(number, score) for number, score in enumerate(scores, 1)]
    assert select_epoch(records, "exact", direction).epoch == chosen


def test_a_metric_that_was_not_scored_names_those_that_were() -> None:
    with pytest.raises(UsageError, match="'exat': not scored on the golden dev set; scored: exact"):
        select_epoch([epoch(1, 0.1)], "exat", "higher")


@pytest.mark.parametrize(
    ("losses", "stops"),
    [
        pytest.param([(1.0, 1.0), (0.8, 0.9), (0.6, 0.8)], False, id="both-fall"),
        pytest.param([(1.0, 1.0), (0.4, 1.1), (0.1, 1.3)], True, id="eval-rises-twice-far-above"),
        pytest.param([(1.0, 1.0), (0.4, 1.1), (0.3, 1.0)], False, id="eval-falls-again"),
        pytest.param([(1.0, 1.0), (0.9, 1.1), (0.8, 1.2)], False, id="rises-within-the-gap"),
        pytest.param([(1.0, 1.0), (0.1, 1.2)], False, id="once-is-not-twice"),
    ],
)
def test_training_stops_when_eval_loss_leaves_training_loss(losses: list[tuple[float, float]], stops: bool) -> None:
    records = [epoch(number, 0.0, *pair) for number, pair in enumerate(losses, 1)]
    assert (divergence(records, gap=0.5, patience=2) is not None) == stops
