"""A suite of another package, in thirty lines: found, validated, watched, limited and run like the built-in ones."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import StageError, UsageError
from evalsuite.testing import FakeEngine
from tasks.config.params import Params, parse_params
from tasks.evaluation.one_suite import suite_named
from tasks.evaluation.suites import check_watched, suite_files, suites_of
from tasks.paths import ArtifactPaths
from tasks.preflight.checks import problems
from tasks.preflight.outside_inputs import changed, run
from tasks.preflight.remote_inputs import prove_needed

ROOT = Path(__file__).parents[2]
EXTENSION = """
import time
from pathlib import Path
from evalsuite.core.settings import Settings
from evalsuite.items.results import ItemResult
from evalsuite.suites.base import SetSize, chosen_items, result_of, single_turns
from evalsuite.suites.entry import SuiteEntry

class Params(Settings):
    path: str

class Capitals:
    name = "capitals"
    def __init__(self, lines):
        self.items = dict(line.split(",") for line in lines)
    def metric_names(self):
        return ("exact",)
    def set_size(self):
        return SetSize(len(self.items), {"exact": len(self.items)}, {})
    def run(self, engine, only=None):
        started, names = time.perf_counter(), chosen_items(self.name, {name: name for name in self.items}, only)
        said = [answer.text for answer in engine.generate(single_turns(engine, names, 8), self.name)]
        items = [ItemResult(item_id=n, item_hash=n, metrics=("exact",), scores={"exact": float(t == self.items[n])})
                 for n, t in zip(names, said)]
        return result_of(self.name, engine, items, started, suite_version="1", scorers={"exact": "1"})

def make(params, context):
    return Capitals(Path(params.path).read_text().splitlines()[:context.limit])

SUITE = SuiteEntry("capitals", Params, make, files=("path",), takes_limit=True)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project beside which a package with the suite is installed."""
    site = tmp_path / "site"
    (site / "capitals-1.dist-info").mkdir(parents=True)
    (site / "capitals.py").write_text(EXTENSION)
    (site / "capitals-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: capitals\nVersion: 1\n")
    (site / "capitals-1.dist-info/entry_points.txt").write_text("[ratchet.suites]\ncapitals = capitals:SUITE\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/suites").mkdir(parents=True)
    (tmp_path / "data/suites/capitals.csv").write_text("France,Paris\nItaly,Rome\nPeru,Lima\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.safetensors").write_bytes(b"")
    (tmp_path / "golden_sets").symlink_to(ROOT / "golden_sets")
    yield tmp_path
    sys.modules.pop("capitals", None)


def params_of(**settings: Any) -> Params:
    rule = {"suite": "capitals", "metric": "exact", "kind": "floor", "limit": 0.5}
    data = {
        "model": {"id": "model"},
        "prepare": {"sources": ["data/raw/rows.jsonl"]},
        "methods": {"full": {"kind": "full", "learning_rate": 1e-5}},
        "evaluation": {"golden": {"path": "golden_sets/support", "bertscore_model": "model", "bertscore_layer": 1}},
        "gate": {"rules": [rule], "alpha": 0.4},
    }
    data["evaluation"]["suites"] = {"capitals": {"path": "data/suites/capitals.csv"} | settings}
    return parse_params(data)


@pytest.mark.usefixtures("project")
def test_thirty_lines_of_another_package_are_a_suite() -> None:
    assert len([line for line in EXTENSION.splitlines() if line.strip()]) <= 30
    golden, suite = suites_of(params_of().evaluation)
    assert golden.name == "golden"
    result = suite.run(FakeEngine({"France": "Paris", "Italy": "Milan", "Peru": "Lima"}))
    assert [item.scores["exact"] for item in result.items] == [1.0, 0.0, 1.0]
    assert result.summary().metrics[0].mean == pytest.approx(2 / 3)


@pytest.mark.usefixtures("project")
def test_its_settings_are_validated_before_anything_is_spent() -> None:
    paths = ArtifactPaths(Path())
    (said,) = [each for each in problems(params_of(pth="x"), paths) if "capitals" in each]
    assert "unknown key evaluation.suites.capitals.pth; did you mean 'path'?" in said
    assert not [each for each in problems(params_of(), paths) if "capitals" in each]


@pytest.mark.usefixtures("project")
def test_the_command_line_limits_it() -> None:
    suite = suite_named("capitals", params_of(), 2)
    result = suite.run(FakeEngine(lambda _: ""))
    assert [item.item_id for item in result.items] == ["France", "Italy"]


@pytest.mark.usefixtures("project")
def test_what_it_raises_is_one_line_that_names_it() -> None:
    (*_, suite) = suites_of(params_of().evaluation)
    with pytest.raises(
        StageError, match=r"^suite 'capitals' \(capitals:SUITE\) failed: KeyError: 'Italy' \(.*line \d+\)$"
    ):
        suite.run(FakeEngine({"France": "Paris"}))


def test_its_files_are_watched(project: Path) -> None:
    evaluation = params_of().evaluation
    assert suite_files(evaluation)["evaluation.suites.capitals.path"] == "data/suites/capitals.csv"
    check_watched(evaluation, project)
    with pytest.raises(UsageError, match=r"evaluation\.suites\.capitals\.path is elsewhere\.csv, outside golden_sets"):
        check_watched(params_of(path="elsewhere.csv").evaluation, project)


@pytest.mark.parametrize("file", ["data/suites/capitals.csv", "site/capitals.py"])
def test_a_change_of_its_file_or_its_code_evaluates_again(project: Path, file: str) -> None:
    paths, params = ArtifactPaths(project), params_of()
    run(params, paths)
    assert changed(params, paths) == {}
    (project / file).write_text((project / file).read_text() + "\n")
    assert {Path(path).stem for path in changed(params, paths)} == {"evaluate"}


READS = """
from dataclasses import replace
from evalsuite.network.outside import Model, Server

def outside(params, context):
    yield Model("evaluation.suites.capitals", "encoder", None, "its commit", "name a folder")
    yield Server("evaluation.suites.capitals", "http://127.0.0.1:9/v1", "CAPITALS_KEY", "start the atlas")

SUITE = replace(SUITE, outside=outside)
"""


def test_what_it_reads_from_outside_is_asked_for_before_training_and_watched(project: Path) -> None:
    (project / "site/capitals.py").write_text(EXTENSION + READS)
    (project / "encoder").mkdir()
    (project / "encoder/model.safetensors").write_bytes(b"one")
    paths, params = ArtifactPaths(project), params_of()
    with pytest.raises(StageError, match=r"evaluation\.suites\.capitals: the server http://127.0.0.1:9/v1 .*the atlas"):
        prove_needed(params, ["train@full"])
    run(params, paths)
    (project / "encoder/model.safetensors").write_bytes(b"other")
    assert {Path(path).stem for path in changed(params, paths)} == {"evaluate"}


@pytest.mark.parametrize(
    ("outside", "said"),
    [
        ("return params.encoder", "'Params' object has no attribute 'encoder'"),
        ("return ['a model']", "'a model' is none of what evalsuite.network.outside has, such as Model or Server"),
    ],
)
def test_a_suite_that_cannot_say_what_it_reads_is_named(project: Path, outside: str, said: str) -> None:
    (project / "site/capitals.py").write_text(
        EXTENSION
        + f"def outside(params, context):\n    {outside}\n"
        + "from dataclasses import replace\nSUITE = replace(SUITE, outside=outside)\n"
    )
    start = r"^suite 'capitals' \(capitals:SUITE\) cannot say what it reads from outside the project: .*"
    with pytest.raises(UsageError, match=start + re.escape(said)):
        prove_needed(params_of(), ["train@full"])
    assert [each for each in problems(params_of(), ArtifactPaths(Path())) if re.match(start, each)]
