"""YAML whose every key counts."""

from pathlib import Path

import pytest

from evalsuite.errors import UsageError
from evalsuite.evidence import load_policy
from evalsuite.strict_yaml import read_yaml


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", "key 'a' of line 1 is there again in line 3", id="repeated"),
        pytest.param("a: {m: 0.02, m: 1.5}\n", "key 'm' of line 1", id="repeated-inside"),
        pytest.param("a: &x [1]\nb: [" + "*x, " * 200 + "]\n", "more than 100 aliases", id="aliases"),
        pytest.param("a: 2020-13-45\n", "not YAML as it must be", id="no-such-day"),
        pytest.param("a: " + "[" * 3000, "not YAML as it must be", id="deep"),
        pytest.param("a: [1\n", "not YAML as it must be", id="cut"),
    ],
)
def test_what_would_be_read_otherwise_than_it_looks_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_yaml(path)


def test_a_folder_is_no_yaml_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        read_yaml(tmp_path)


def test_a_second_list_of_rules_does_not_replace_the_first(tmp_path: Path) -> None:
    rule = "[{suite: s, metric: m, kind: guard, margin: 0.1}]"
    (tmp_path / "p.yaml").write_text(f"rules: {rule}\nrules: {rule}\n")
    with pytest.raises(UsageError, match="key 'rules' of line 1 is there again in line 2"):
        load_policy(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("rules: [{suite: s, metric: m, kind: guard, margin: true}]", "is no number", id="truth-value"),
        pytest.param(
            "targets: any\nrules: [{suite: s, metric: m, kind: target, min_gain: 0.1, slices: topic}]",
            "targets any judges no slices",
            id="any-with-slices",
        ),
    ],
)
def test_rules_that_would_judge_less_than_they_say_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.yaml").write_text(text + "\n")
    with pytest.raises(UsageError, match=message):
        load_policy(tmp_path / "p.yaml")
