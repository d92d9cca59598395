"""What the tour says of a night, and when it gives up; `make tour` is the whole of it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from demo import tour
from demo.nights import Ended, Killer
from demo.tour import NIGHTS, Night, _pass
from evalsuite.core.files import write_json
from tasks.registry.journal import Run


class Scheduled:
    """A schedule whose runs end as they are told to."""

    def __init__(self, project: Path, **fields: Any) -> None:
        self.project, self.fields = project, fields
        self.log = project / "serve.log"
        self.log.write_text(
            "02:00 | INFO | Flow run 'x' - inputs did not change: nothing to do; compared data/raw 0c\n"
        )

    def run_now(self, watch: Any) -> Ended:
        if isinstance(watch, Killer):
            watch.killed = self.fields["ending"] == "failed"
        run = Run.model_validate(
            {"started_at": "2026-11-30T02:00:00+00:00", "started_by": "scheduled run"} | self.fields
        )
        write_json(self.project / ".ratchet/journal/1.json", run)
        return Ended("COMPLETED", "", 61.0)


PROMOTED = {"ending": "verdict", "verdict": "PROMOTE", "headline": "the gain is proven"}


def test_the_five_nights_end_in_all_ways_there_are() -> None:
    assert [night.ends for night in NIGHTS] == ["PROMOTE", "unchanged", "REJECT", "failed", "INCONCLUSIVE"]


def test_a_tour_that_is_told_to_end_leaves_no_server_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ended = []

    @contextmanager
    def serving(_project: Path) -> Iterator[None]:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            yield
        finally:
            ended.append(True)

    monkeypatch.chdir(tmp_path)
    for name, stand_in in {
        "others_keep_busy": lambda: None,
        "make_project": lambda *_: None,
        "_model_made": lambda _: nullcontext(lambda: None),
        "served": serving,
        "_pass": lambda *_: False,
    }.items():
        monkeypatch.setattr(tour, name, stand_in)
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        assert tour.main() == 130
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert ended


def test_a_night_prints_its_verdict_or_what_was_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _pass(1, NIGHTS[0], Scheduled(tmp_path, **PROMOTED), tmp_path)  # type: ignore[arg-type]
    assert "PROMOTE: the gain is proven" in capsys.readouterr().out
    assert _pass(2, NIGHTS[1], Scheduled(tmp_path, ending="unchanged"), tmp_path)  # type: ignore[arg-type]
    assert "unchanged: inputs did not change: nothing to do; compared data/raw 0c" in capsys.readouterr().out


def test_a_night_that_ends_otherwise_ends_the_tour(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    night = Night("worse", None, "REJECT")
    assert not _pass(3, night, Scheduled(tmp_path, **PROMOTED), tmp_path)  # type: ignore[arg-type]
    assert "this night was to end with REJECT" in capsys.readouterr().err


def test_a_training_that_was_over_before_it_could_be_killed_ends_the_tour(tmp_path: Path) -> None:
    night = Night("crashed", None, "failed", is_killed=True)
    assert not _pass(4, night, Scheduled(tmp_path, **PROMOTED), tmp_path)  # type: ignore[arg-type]
