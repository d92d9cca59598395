import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evalsuite.errors import UsageError
from flows.cli import app
from tests.evalsuite.judges.test_agreement import row, write


def test_agreement_is_printed_as_json_without_any_text(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": [row("HIDDEN TEXT", (1, 1, 0), cls=1)], "b": [row("HIDDEN", (0, 0, 0), cls=1)]})
    result = CliRunner().invoke(app, ["judge", "check", "--labels", str(path), "--judge", "harmbench", "--json"])

    found = json.loads(result.stdout)
    assert (found["judge"], found["n"], found["agreement"]) == ("harmbench (recorded)", 2, 0.5)
    assert found["by_category"] == {"contextual/y": [0.0, 1], "standard/x": [1.0, 1]}
    assert "HIDDEN" not in result.output


def test_a_table_shows_every_judge(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": [row("I cannot", (0, 0, 0), advbench=0)], "b": [row("x", (1, 1, 1), advbench=1)]})
    result = CliRunner().invoke(app, ["judge", "check", "--labels", str(path), "--judge", "string_matching"])

    assert "string_matching (recorded)" in result.stdout
    assert "standard/x" in result.stdout


def test_an_absent_file_is_one_clear_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["judge", "check", "--labels", str(tmp_path / "none.json")])

    assert isinstance(result.exception, UsageError)
    with pytest.raises(UsageError, match=r"harmbench_behaviors_text_all.csv beside .*--behaviours"):
        raise result.exception
