"""Prefect's files lie in the project, whatever the project's folder is called."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from flows.lifecycle.environment import prepare_prefect


@pytest.mark.parametrize("name", ["what?", "a?b#c%20d \u00e9 'q'"])
def test_the_database_lies_in_the_project_where_a_question_mark_would_end_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    variables: dict[str, str] = {}
    monkeypatch.setattr("os.environ", variables)
    prepare_prefect(tmp_path / name)
    assert variables["PREFECT_HOME"] == str(tmp_path / name / ".prefect")
    engine = create_engine(variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"].replace("+aiosqlite", ""))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    engine.dispose()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / ".prefect/prefect.db").stat().st_size > 0


def test_what_the_user_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"PREFECT_HOME": "/elsewhere", "DO_NOT_TRACK": "0"}
    variables = dict(own)
    monkeypatch.setattr("os.environ", variables)
    prepare_prefect(tmp_path)
    assert {name: variables[name] for name in own} == own
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in variables
