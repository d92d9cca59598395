"""YAML files: what is refused instead of being read wrong."""

from pathlib import Path

import pytest

from evalsuite.errors import UsageError
from evalsuite.evidence import load_policy
from evalsuite.yaml_file import read_yaml
from tasks.params import load_params

BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("rules: 1\nrules: 2\n", r"p\.yaml:2: key 'rules' is there twice", id="key-twice"),
        pytest.param("rules:\n- {margin: 0.1, margin: 1.5}\n", r"p\.yaml:2: key 'margin' is there twice", id="inner"),
        pytest.param(BOMB, "more than 50000 values", id="alias-bomb"),
        pytest.param("&a\nrules: *a\n", "contains itself", id="own-alias"),
        pytest.param("rules: 2020-13-45\n", "is not YAML: month must be in", id="date"),
        pytest.param("rules: " + "[" * 3000 + "]" * 3000, "nested too deeply", id="deep"),
        pytest.param("rules: " + "9" * 5000, "is not YAML: Exceeds the limit", id="long-integer"),
    ],
)
def test_a_policy_and_params_that_would_be_read_wrong_are_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    for load in (load_policy, load_params):
        with pytest.raises(UsageError, match=told):
            load(path)


def test_a_folder_is_no_yaml_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        read_yaml(tmp_path)


def test_aliases_that_save_a_few_words_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("a: &a {x: 1}\nb: {<<: *a, y: 2}\n", encoding="utf-8")
    assert read_yaml(path) == {"a": {"x": 1}, "b": {"x": 1, "y": 2}}
