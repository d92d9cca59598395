from collections.abc import Callable

from evalsuite.report.curves import MAX_POINTS, loss_chart
from evalsuite.report.data import ReportData


def test_a_long_log_is_thinned_and_stays_in_its_box(make: Callable[..., ReportData]) -> None:
    chart = loss_chart(make().training["full"])
    assert chart is not None
    points = [tuple(map(float, pair.split(","))) for pair in chart.steps.split()]
    assert 100 < len(points) <= MAX_POINTS
    assert all(0.0 <= x <= 100.0 and 0.0 <= y <= 100.0 for x, y in points)
    assert [y for _, y in points] == sorted(y for _, y in points), "the loss falls, so the line goes down"
    assert chart.train[0].y < chart.train[1].y
    assert chart.selected == 100.0
    assert "epoch 2: train 1.000, eval 1.050" in chart.description


def test_a_log_without_epochs_has_no_chart(make: Callable[..., ReportData]) -> None:
    assert loss_chart(make().training["full"].model_copy(update={"epochs": ()})) is None
