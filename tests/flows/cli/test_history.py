"""``ratchet history --digest``: what a scheduler did, in a few lines."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.core.files import write_json
from evalsuite.gate.decision import Verdict
from flows.cli.history import _moment, history
from flows.cli.views.digest import show_digest
from tasks.paths import ArtifactPaths
from tasks.registry.journal import Ending, Run

START = datetime(2026, 11, 29, 2, tzinfo=UTC)


@pytest.fixture
def paths(tmp_path: Path) -> ArtifactPaths:
    runs = (
        {
            "ending": Ending.VERDICT,
            "verdict": Verdict.PROMOTE,
            "headline": "the gain is proven",
            "changed": {"prepare": "modified data/raw"},
            "ran": ["prepare", "train@full"],
            "champion_after": "b" * 64,
        },
        {"ending": Ending.UNCHANGED, "champion_before": "b" * 64, "champion_after": "b" * 64},
        {"ending": Ending.FAILED, "error": "stage train@full: [red]killed[/red] by \x1b[2JSIGKILL"},
    )
    for number, fields in enumerate(runs):
        stamp = (START + timedelta(days=number)).isoformat(timespec="seconds")
        run = Run.model_validate({"started_at": stamp, "started_by": "scheduled run", "seconds": 61.4, **fields})
        write_json(tmp_path / f".ratchet/journal/{number}.json", run)
    return ArtifactPaths(tmp_path)


def test_each_night_says_what_changed_the_verdict_the_champion_and_its_time(
    paths: ArtifactPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    show_digest(paths, None, as_json=False)
    said = capsys.readouterr().out
    head, first, second, _ = said.split("\n\n")
    assert head == "2026-11-29 to 2026-12-01: 1 PROMOTE, 1 unchanged, 1 failed; champion none stays"
    assert first.splitlines() == [
        "2026-11-29 02:00  61 s  PROMOTE  scheduled run",
        "  changed   modified data/raw",
        "  ran       prepare, train@full",
        f"  champion  none -> {'b' * 16}",
        "  the gain is proven",
    ]
    assert "unchanged: nothing to do" in second
    assert f"champion  {'b' * 16} stays" in second


def test_an_error_s_text_moves_no_cursor_and_is_no_markup(
    paths: ArtifactPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    show_digest(paths, None, as_json=False)
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "[red]killed[/red]" in said


def test_since_leaves_out_and_json_has_one_object_a_run(
    paths: ArtifactPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    show_digest(paths, START + timedelta(days=1), as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["what"] for line in lines] == ["unchanged", "failed"]
    show_digest(paths, START + timedelta(days=9), as_json=False)
    assert "no run since 2026-12-08 02:00 UTC" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "ago"), [("7d", timedelta(days=7)), ("12h", timedelta(hours=12))])
def test_since_takes_hours_and_days(text: str, ago: timedelta) -> None:
    assert abs(datetime.now(UTC) - ago - _moment(text)) < timedelta(minutes=1)


def test_since_takes_a_date() -> None:
    assert _moment("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "0d", "7", "-1d", "2026-13-01", "99999d", "yesterday"])
def test_another_since_is_refused_with_what_is_accepted(text: str) -> None:
    with pytest.raises(UsageError, match="expected hours or days such as 12h or 7d, or a date such as 2026-01-31"):
        _moment(text)


def test_since_without_digest_is_refused() -> None:
    with pytest.raises(UsageError, match="ratchet history --digest --since 7d"):
        history(since="7d")
