"""A suite's file whose change DVC would not see is refused."""

from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from tasks.config.evaluation import EvaluationParams
from tasks.evaluation.suites import check_watched, suite_files


def params(**sections: Any) -> EvaluationParams:
    return EvaluationParams.model_validate({"golden": {"path": "golden_sets/own"}, **sections})


INSIDE: dict[str, Any] = {
    "harness": {"data_root": "golden_sets/retention"},
    "harmbench": {"data": "data/suites/harmbench", "judge": {"kind": "chat", "calibration": "data/suites/judge.json"}},
    "xstest": {"data": "./data/suites/xstest_prompts.csv"},
    "bbq": {"data": "data/suites"},
    "perplexity": {"path": "data/suites/texts.jsonl"},
    "bertscore": {"path": "data/suites/free"},
}


def test_files_in_watched_folders_are_let_through(tmp_path: Path) -> None:
    check_watched(params(**INSIDE), tmp_path)
    assert len(suite_files(params(**INSIDE))) == 8


@pytest.mark.parametrize("path", ["../x.csv", "data/x.csv", "data/suites/../x.csv", "data/suites2/x.csv", "/tmp/x.csv"])  # noqa: S108
def test_a_file_elsewhere_is_named_with_its_setting(tmp_path: Path, path: str) -> None:
    with pytest.raises(UsageError, match=r"evaluation\.xstest\.data is .*copy it to data/suites"):
        check_watched(params(**{**INSIDE, "xstest": {"data": path}}), tmp_path)


def test_a_link_to_a_file_is_let_through_and_a_link_to_a_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "data/suites").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/x.csv").write_text("x")
    (tmp_path / "data/suites/x.csv").symlink_to(tmp_path / "elsewhere/x.csv")
    (tmp_path / "data/suites/folder").symlink_to(tmp_path / "elsewhere")
    check_watched(params(xstest={"data": "data/suites/x.csv"}), tmp_path)
    for path in ("data/suites/folder", "data/suites/folder/x.csv"):
        with pytest.raises(UsageError, match=r"which a link leads to .*elsewhere.*copy it to data/suites"):
            check_watched(params(xstest={"data": path}), tmp_path)


def test_every_setting_that_names_a_file_is_looked_at() -> None:
    """A new setting with a path has to be added to ``files`` of its suite's entry."""
    named = {
        f"evaluation.{section}.{field}"
        for section in ("golden", "harness", "harmbench", "xstest", "bbq", "perplexity", "bertscore")
        for field in ("path", "data", "data_root", "attack", "copyright_references", "bertscore_baseline")
        if field in _fields(section)
    }
    full = {**INSIDE, "golden": {"path": "golden_sets/own", "bertscore_baseline": "golden_sets/b.tsv"}}
    full["harmbench"] = {**INSIDE["harmbench"], "attack": "data/suites/a", "copyright_references": "data/suites/c"}
    assert set(suite_files(EvaluationParams.model_validate(full))) == named | {"evaluation.harmbench.judge.calibration"}


def _fields(section: str) -> set[str]:
    full = {**INSIDE, "golden": {"path": "golden_sets/own"}}
    return set(type(getattr(EvaluationParams.model_validate(full), section)).model_fields)
