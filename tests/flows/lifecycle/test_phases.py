"""What a run shows: phases and warnings, with the whole log in a file."""

import io
import logging
from pathlib import Path

import pytest
from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console

from evalsuite.core.errors import StageError
from flows.lifecycle.phases import PhaseHandler, only_phases_shown
from flows.pipeline import phases
from tasks.config.params import load_params
from tasks.pipeline.runner import stage_names

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("at_once", [1, 2])
def test_the_phases_run_every_stage_of_dvc_yaml_once_and_in_its_order(at_once: int) -> None:
    params = load_params(ROOT / "params.yaml")
    schedule = params.schedule.model_copy(update={"parallel_methods": at_once})
    run = [stage for phase in phases(params.model_copy(update={"schedule": schedule})) for stage in phase.stages]
    declared = stage_names(ROOT)
    assert sorted(run) == sorted(declared)
    before = {"train": "plan", "evaluate": "train", "compare": "evaluate", "gate": "compare", "report": "gate"}
    kinds = [name.partition("@")[0] for name in run]
    for later, earlier in before.items():
        assert kinds.index(later) > max(at for at, kind in enumerate(kinds) if kind == earlier)


def shown(record: logging.LogRecord) -> str:
    """What the handler prints of a record where there is no terminal."""
    text = io.StringIO()
    handler = PhaseHandler(Console(file=text, soft_wrap=True))
    with handler.bar:
        handler.emit(record)
    return text.getvalue()


def record(text: str, level: int = logging.INFO, phase: tuple[int, int] | None = None) -> logging.LogRecord:
    made = logging.LogRecord("x", level, "x.py", 1, text, None, None)
    if phase is not None:
        made.phase = phase
    return made


def test_phases_and_warnings_are_printed_and_other_lines_are_not() -> None:
    assert shown(record("[2/9] training full ...", phase=(2, 9))) == "[2/9] training full ...\n"
    assert shown(record("disk is nearly full", logging.WARNING)) == "disk is nearly full\n"
    assert shown(record("WARNING said by a [stage]")) == "WARNING said by a [stage]\n"
    assert shown(record("INFO step 4 of 42")) == ""


def test_names_are_printed_as_they_are_and_steer_no_terminal() -> None:
    assert shown(record("golden/exact:guard:base a:x:2", logging.WARNING)) == "golden/exact:guard:base a:x:2\n"
    assert shown(record("no row \x1b[31m\r in [b]x", logging.WARNING)) == "no row \\x1b[31m\\x0d in [b]x\n"


def test_a_record_that_cannot_be_written_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    assert shown(logging.LogRecord("x", logging.WARNING, "x.py", 1, "%d rows", ("many",), None)) == ""


def test_the_log_holds_every_line_and_the_console_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    console = PrefectConsoleHandler(io.StringIO())
    monkeypatch.setattr(logging.getLogger(), "handlers", [console])
    log = tmp_path / "new/run.log"
    with only_phases_shown(log):
        logging.getLogger("ratchet.test").error("first")
    assert log.read_text() == "first\n"
    assert logging.getLogger().handlers == [console]
    assert capsys.readouterr().err == f"first\nlog: {log}\n"


def test_a_log_that_cannot_be_written_is_one_line_with_the_way_round(tmp_path: Path) -> None:
    with (
        pytest.raises(StageError, match=r"no log can be written to .* \(Is a directory\); `ratchet run --verbose`"),
        only_phases_shown(tmp_path),
    ):
        pass
