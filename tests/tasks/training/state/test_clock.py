"""Wall time over attempts."""

import time
from pathlib import Path

from tasks.training.state.clock import Clock


def test_the_time_of_a_killed_attempt_counts(tmp_path: Path) -> None:
    killed = Clock(tmp_path / "clock.json")
    time.sleep(0.05)
    killed.save()
    again = Clock(tmp_path / "clock.json")
    again.add_resume(7)
    again.save()
    assert again.seconds >= 0.05
    assert Clock(tmp_path / "clock.json").resumed == (7,)
