"""The schedule."""

from datetime import timedelta

import pytest

from evalsuite.errors import UsageError
from flows.deploy import next_runs
from tasks.params import ScheduleParams


def test_a_nightly_schedule_fires_once_a_night_in_its_own_timezone() -> None:
    first, second = next_runs(ScheduleParams(cron="0 2 * * *", timezone="Europe/Berlin"), 2)
    assert (first.hour, first.minute, str(first.tzinfo)) == (2, 0, "Europe/Berlin")
    assert timedelta(hours=22) < second - first < timedelta(hours=26)


def test_a_wrong_cron_line_is_named() -> None:
    with pytest.raises(UsageError, match=r"schedule\.cron = 'every night'"):
        next_runs(ScheduleParams(cron="every night"), 1)


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "../etc/passwd", ""])
def test_a_wrong_timezone_is_named(timezone: str) -> None:
    with pytest.raises(UsageError, match=r"schedule\.timezone = "):
        next_runs(ScheduleParams(timezone=timezone), 1)
