"""Objectives by their names."""

import importlib
import json
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from tasks.config.objectives import OBJECTIVES
from tasks.config.prepare import PrepareParams
from tasks.objectives.find import BUILT_IN, blamed, find_objective, prepared_objective, sources
from tasks.objectives.sft import Sft
from tasks.objectives.text import Text


def test_every_name_that_params_accept_has_its_class() -> None:
    assert tuple(BUILT_IN) == OBJECTIVES
    assert [find_objective(name).name for name in OBJECTIVES] == list(OBJECTIVES)


@pytest.mark.parametrize(("given", "name"), [("chat", "sft"), ("sft", "sft"), ("text", "text")])
def test_the_earlier_name_of_sft_is_read(given: str, name: str) -> None:
    assert PrepareParams(sources=("data/raw/rows.jsonl",), objective=given).objective == name


def test_rows_that_were_prepared_before_objectives_had_names_are_conversations(tmp_path: Path) -> None:
    for report, kind in (({}, Sft), ({"objective": "text"}, Text)):
        (tmp_path / "report.json").write_text(json.dumps(report))
        assert type(prepared_objective(tmp_path)) is kind


def test_rows_of_an_objective_that_is_not_installed_are_not_trained_on(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"objective": "elsewhere"}')
    with pytest.raises(UsageError, match="objective 'elsewhere' is in no package here; install"):
        prepared_objective(tmp_path)


def test_an_error_of_ratchets_own_code_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), blamed(find_objective("sft")):
        print(1 / 0)


def test_the_code_of_an_objective_is_that_of_its_whole_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "their_objectives"
    package.mkdir()
    code = "from tasks.objectives.sft import Sft\n\n\nclass Own(Sft):\n    name = 'own'\n"
    for name, text in (("__init__", ""), ("own", code), ("helper", "")):
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = importlib.import_module("their_objectives.own").Own()
    assert [path.name for path in sources(own)] == ["__init__.py", "helper.py", "own.py"]
    assert sources(Sft()) == ()
