"""Lines that dvc.yaml reads and params.yaml lacks."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.core.yaml_file import parse_yaml, read_yaml
from tasks.config.params import Params, load_params, parse_params
from tasks.config.pipeline import EXAMPLES, check_sections, needed_params

ROOT = Path(__file__).parents[3]
PIPELINE = read_yaml(ROOT / "dvc.yaml")
SHIPPED: dict[str, Any] = read_yaml(ROOT / "params.yaml")
READ = sorted({key.split(".")[0] for key in needed_params(PIPELINE)})


def lacking(*sections: str) -> str:
    """What is said of the shipped params without some sections."""
    data = {key: value for key, value in SHIPPED.items() if key not in sections}
    with pytest.raises(UsageError) as caught:
        check_sections(data, PIPELINE)
    return str(caught.value)


def test_every_missing_section_is_named_at_once_with_the_line_to_add() -> None:
    assert lacking("contamination", "sequential", "launch").splitlines() == [
        "params.yaml lacks 3 sections that dvc.yaml reads; add, or fill in:",
        "contamination: {}",
        "sequential: {}",
        "launch: {}",
    ]


@settings(deadline=None)
@given(st.sets(st.sampled_from(READ), min_size=1))
def test_the_lines_that_are_named_are_all_that_was_missing(sections: set[str]) -> None:
    lines = lacking(*sections).splitlines()[1:]
    data = {key: value for key, value in SHIPPED.items() if key not in sections}
    added = {key: value for line in lines for key, value in parse_yaml(line, "lines").items()}
    assert set(added) == sections
    check_sections(data | added, PIPELINE)
    parse_params(data | added)


def test_the_examples_are_the_sections_that_need_a_value_of_the_users_own() -> None:
    required = {name for name, field in Params.model_fields.items() if field.is_required()}
    assert set(EXAMPLES) == required


def test_a_key_inside_a_section_is_named_with_its_path() -> None:
    data = SHIPPED | {"evaluation": {"golden": {"max_new_tokens": 4}}}
    with pytest.raises(
        UsageError, match=r"^params\.yaml lacks evaluation\.golden\.path, which dvc\.yaml reads; add it$"
    ):
        check_sections(data, PIPELINE)


@pytest.mark.parametrize(
    ("pipeline", "needed"),
    [
        ("stages: {a: {cmd: x, params: [b.c, {other.yaml: [d]}, {params.yaml: [e]}]}}", ["b.c", "e"]),
        ("stages: {a: {cmd: 'x ${b.c} ${d[0].e}'}}", ["b.c", "d.0.e"]),
        ("stages: {a: {foreach: '${m}', do: {cmd: 'x ${key} ${item.v}', params: ['m.${key}']}}}", ["m"]),
        ("stages: {a: {matrix: {n: '${m}'}, cmd: 'x ${item.n}'}}", ["m"]),
        ("{vars: [{b: 1}], stages: {a: {cmd: 'x ${b} ${c}'}}}", ["c"]),
        ("{vars: [more.yaml], stages: {a: {cmd: 'x ${b}', params: [p]}}}", ["p"]),
        (r"stages: {a: {cmd: 'x \${HOME}'}}", []),
        ("stages: {a: {cmd: x, params: [{params.yaml: }]}}", []),
        ("stages: []", []),
        ("", []),
    ],
)
def test_what_a_pipeline_reads_is_found_in_all_its_forms(pipeline: str, needed: list[str]) -> None:
    assert needed_params(parse_yaml(pipeline, "dvc.yaml")) == needed


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    return tmp_path / "params.yaml"


def test_loading_params_asks_the_pipeline_beside_them(project: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    project.write_text(text.replace("contamination:", "#").replace("  embedding", "#").replace("  neighbour", "#"))
    project.write_text(project.read_text().replace("  max_fraction", "#"))
    with pytest.raises(UsageError, match=r"params\.yaml lacks a section .*\ncontamination: \{\}$"):
        load_params(project)


def test_a_misspelt_section_is_called_misspelt_and_not_missing(project: Path) -> None:
    project.write_text((ROOT / "params.yaml").read_text().replace("contamination:", "contaminatoin:"))
    with pytest.raises(UsageError, match="unknown key contaminatoin; did you mean 'contamination'"):
        load_params(project)


def test_a_section_with_nothing_but_comments_has_its_defaults(project: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    project.write_text(text.replace("sequential:\n  suites: []", "sequential:\n  # suites: []"))
    assert load_params(project).sequential == Params.model_fields["sequential"].default


def test_a_broken_pipeline_file_is_named_and_not_the_params(project: Path) -> None:
    project.write_text((ROOT / "params.yaml").read_text())
    project.with_name("dvc.yaml").write_text("stages: {a: {cmd: python a:b}}\n")
    with pytest.raises(UsageError, match=r"dvc\.yaml:1:27: .*quote the value: cmd: \"python a:b\""):
        load_params(project)
