import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evalsuite.core.errors import UsageError
from evalsuite.judge_tools.agreement import agreement_with_people
from flows.cli.app import app
from flows.cli.views.judge import show_agreements
from tests.evalsuite.judge_tools.test_agreement import row, write


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


@pytest.mark.parametrize(("judges", "category"), [(13, "standard/" + "x" * 60), (1, "a b"), (40, "[bold]x[/]")])
def test_the_tables_fit_80_columns_and_show_every_judge_and_category(
    capsys: pytest.CaptureFixture[str], judges: int, category: str
) -> None:
    results = [
        agreement_with_people(
            f"judge-{n}-of-a-name-that-is-long (recorded)", "1", ["a", "b", None if n else "a"], ["a"] * 3, "123",
            [category, "other", category],
        )
        for n in range(judges)
    ]  # fmt: skip
    show_agreements(results)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = "".join("".join(lines).split())
    assert "".join(category.split())[:20] in text
    numbers = [line.split()[2:] for line in lines if line.startswith("category")]
    assert [int(number) for row in numbers for number in row] == list(range(1, judges + 1))


def test_an_absent_file_is_one_clear_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["judge", "check", "--labels", str(tmp_path / "none.json")])

    assert isinstance(result.exception, UsageError)
    with pytest.raises(UsageError, match=r"harmbench_behaviors_text_all.csv beside .*--behaviours"):
        raise result.exception
