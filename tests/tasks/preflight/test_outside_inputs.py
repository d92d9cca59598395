"""What changed outside the project runs exactly the stages that read it, through real DVC."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite.core import extensions
from evalsuite.core.errors import UsageError
from tasks.config.params import Params, parse_params
from tasks.dvc_command import dvc_command, stage_environment
from tasks.paths import ArtifactPaths
from tasks.pipeline.runner import pending_stages, reads_inputs
from tasks.preflight import outside_inputs as inputs
from tasks.preflight.outside_inputs import READERS, changed, run

ROOT = Path(__file__).parents[3]
ITEM = {"id": "1", "messages": [{"role": "user", "content": "a"}], "references": ["b"]}
CHANGES: dict[str, tuple[str, set[str]]] = {
    "model.id": ("model/model.safetensors", {"fetch"}),
    "a file beside the weights": ("model/deep/er/tokenizer.json", {"fetch"}),
    "model.chat_template": ("template.jinja", {"fetch"}),
    "launch.settings": ("settings.json", {"plan"}),
    "bertscore_model": ("bert/model.safetensors", {"train", "evaluate"}),
    "embedding_model": ("encoder/model.safetensors", {"contamination"}),
    "judge's model": ("judge/model.safetensors", {"evaluate"}),
}


def settings_of(**evaluation: Any) -> dict[str, Any]:
    golden = {"path": "golden", "bertscore_model": "bert", "bertscore_layer": 2}
    return {
        "model": {"id": "model", "chat_template": "template.jinja"},
        "prepare": {"sources": ["data/raw/rows.jsonl"]},
        "methods": {"full": {"kind": "full", "learning_rate": 1e-5, "epochs": 1}},
        "launch": {"settings": "settings.json"},
        "evaluation": {
            "golden": golden,
            "harness": {"tasks": {}},
            "harmbench": {"data": "data/suites/h.csv", "judge": {"kind": "harmbench", "model": "judge"}},
            **evaluation,
        },
        "contamination": {"embedding_model": "encoder"},
        "gate": {"rules": [{"suite": "golden", "metric": "bertscore_f1", "kind": "guard", "margin": 0.1}]},
    }


def fill(root: Path, metrics: dict[str, list[str]] | None = None) -> None:
    for name in ("model", "bert", "encoder", "judge"):
        (root / name / "deep/er").mkdir(parents=True)
        (root / name / "model.safetensors").write_bytes(b"weights")
        (root / name / "deep/er/tokenizer.json").write_bytes(b"{}")
    (root / "template.jinja").write_text("{{ messages }}")
    (root / "settings.json").write_text("{}")
    (root / "golden").mkdir()
    for split, names in (metrics or {"dev": ["bertscore_f1"], "test": ["bertscore_f1"]}).items():
        (root / f"golden/{split}.jsonl").write_text(json.dumps({**ITEM, "metrics": names}) + "\n")
    (root / "params.yaml").write_text(yaml.safe_dump(settings_of()))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stage ``inputs`` writes, without its checks of a whole project, and a small stage for each reader."""
    root = tmp_path_factory.mktemp("project")
    fill(root)
    real = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["inputs"]
    (root / "look.py").write_text(
        "from tasks.config.params import load_params\n"
        "from tasks.paths import ArtifactPaths\n"
        "from tasks.preflight.outside_inputs import run\n"
        "run(load_params(), ArtifactPaths())\n"
    )
    stages: dict[str, Any] = {"inputs": {**real, "cmd": "python look.py", "deps": ["params.yaml"]}}
    for name in READERS:
        stages[name] = {"cmd": f"echo 1 > {name}.out", "deps": [f"plans/inputs/{name}.json"], "outs": [f"{name}.out"]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    for arguments in (("init", "-q"), ("config", "core.analytics", "false"), ("repro", "-q")):
        subprocess.run(dvc_command(*arguments), cwd=root, check=True, env=stage_environment())
    return root


def ran(root: Path) -> set[str]:
    command = dvc_command("repro")
    done = subprocess.run(command, cwd=root, check=True, env=stage_environment(), text=True, capture_output=True)
    return set(re.findall(r"Running stage '(.+?)'", done.stdout))


def test_nothing_is_pending_after_a_run_though_the_stage_always_runs(project: Path) -> None:
    before = (project / "dvc.lock").read_bytes()
    assert ran(project) == {"inputs"}
    assert pending_stages(project) == []
    assert (project / "dvc.lock").read_bytes() == before
    assert reads_inputs("fetch", project)
    assert not reads_inputs("inputs", project)


@pytest.mark.parametrize("what", CHANGES)
def test_one_changed_byte_makes_its_readers_pending_and_no_other(project: Path, what: str) -> None:
    name, readers = CHANGES[what]
    path, good = project / name, (project / name).read_bytes()
    path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    try:
        assert {item.name for item in pending_stages(project)} == readers
    finally:
        path.write_bytes(good)
    assert pending_stages(project) == []


def test_plain_dvc_repro_runs_the_readers_of_what_changed(project: Path) -> None:
    (project / "bert/model.safetensors").write_bytes(b"Weights")
    pending = pending_stages(project)
    assert "evaluation.golden.bertscore_model has another content" in pending[0].reason
    assert ran(project) == {"inputs", "train", "evaluate"}
    assert pending_stages(project) == []


def params_of(**evaluation: Any) -> Params:
    return parse_params(settings_of(**evaluation))


def changed_by(tmp_path: Path, params: Params, change: Callable[[], object]) -> set[str]:
    paths = ArtifactPaths(tmp_path)
    run(params, paths)
    assert changed(params, paths) == {}
    change()
    return {Path(path).stem for path in changed(params, paths)}


@given(data=st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_change_of_any_file_of_an_external_folder_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("any")
    fill(root)
    folder, readers = data.draw(
        st.sampled_from([("model", {"fetch"}), ("bert", {"train", "evaluate"}), ("encoder", {"contamination"})])
    )
    files = sorted(path for path in (root / folder).rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    other = data.draw(st.binary(max_size=20).filter(lambda found: found != path.read_bytes()))
    assert changed_by(root, params_of(), lambda: path.write_bytes(other)) == readers


@pytest.mark.parametrize(
    ("dev", "test", "readers"), [("bertscore_pass", "exact_match", {"train"}), ("exact_match", "exact_match", set())]
)
def test_a_scorer_that_no_item_asks_for_is_no_input(tmp_path: Path, dev: str, test: str, readers: set[str]) -> None:
    fill(tmp_path, {"dev": [dev], "test": [test]})
    if dev == "bertscore_pass":
        item = {**ITEM, "metrics": [{"name": dev, "params": {"threshold": 0.5}}]}
        (tmp_path / "golden/dev.jsonl").write_text(json.dumps(item) + "\n")
    weights = tmp_path / "bert/model.safetensors"
    assert changed_by(tmp_path, params_of(), lambda: weights.write_bytes(b"x")) == readers


@pytest.mark.parametrize(
    ("package", "readers"), [("lm_eval", {"evaluate"}), ("bert-score", {"train", "evaluate"}), ("sacrebleu", set())]
)
def test_an_upgraded_scorer_is_another_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, readers: set[str]
) -> None:
    fill(tmp_path)
    params = params_of(harness={"tasks": {"ifeval": {}}, "data_root": "golden_sets/x"})
    real = inputs.version

    def upgrade() -> None:
        monkeypatch.setattr(inputs, "version", lambda name: "999" if name == package else real(name))

    assert changed_by(tmp_path, params, upgrade) == readers


def test_an_upgraded_package_with_weights_is_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    site = tmp_path / "site"
    (site / "weights_of_ours").mkdir(parents=True)
    (site / "weights_of_ours/__init__.py").write_text("")
    (site / "weights_of_ours/model.safetensors").write_bytes(b"1")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    params = parse_params({**settings_of(), "model": {"id": "package:weights_of_ours"}})
    weights = site / "weights_of_ours/model.safetensors"
    assert changed_by(tmp_path, params, lambda: weights.write_bytes(b"2")) == {"fetch"}


@pytest.mark.parametrize("named", ["encoder", "package:weights_of_ours"])
def test_another_encoder_of_semantic_duplicates_is_another_input_of_prepare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    fill(tmp_path)
    (tmp_path / "weights_of_ours").symlink_to(tmp_path / "encoder")
    (tmp_path / "encoder/__init__.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    steps = [{"semantic_duplicates": {"model": named}}, "held_out", "length"]
    data = settings_of()
    params = parse_params({**data, "prepare": {**data["prepare"], "steps": steps}, "contamination": {}})
    weights = tmp_path / "encoder/model.safetensors"
    assert changed_by(tmp_path, params, lambda: weights.write_bytes(b"others")) == {"prepare"}


def test_a_rule_that_turns_a_public_benchmark_on_evaluates_again_and_holds_its_items_out(tmp_path: Path) -> None:
    fill(tmp_path)
    data = settings_of()
    del data["evaluation"]["harness"]
    paths = ArtifactPaths(tmp_path)
    run(parse_params(data), paths)
    data["gate"]["rules"].append({"suite": "ifeval", "metric": "x", "kind": "guard", "margin": 0.1})
    assert {Path(path).stem for path in changed(parse_params(data), paths)} == {"evaluate", "prepare"}


def test_the_code_of_another_package_s_suite_and_the_files_of_its_arguments_are_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)
    (tmp_path / "their_suite.py").write_text("a = 1\n")
    (tmp_path / "their.jsonl").write_text("1")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    entry = EntryPoint(name="theirs", value="their_suite:Suite", group="ratchet.suites")
    monkeypatch.setattr(extensions, "entry_points", lambda group: [entry])
    params = params_of(suites={"theirs": {"file": "their.jsonl", "count": 3}})
    for name in ("their_suite.py", "their.jsonl"):
        path = tmp_path / name
        assert changed_by(tmp_path, params, lambda path=path: path.write_text("2\n")) == {"evaluate"}  # type: ignore[misc]


PATHS_IN = st.recursive(
    st.just("their.jsonl"),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.tuples(st.sampled_from([3, "x", "y" * 5000, "a\0b", None]), inner).map(list)
        | st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2)
    ),
    max_leaves=4,
)


@given(argument=PATHS_IN | st.just({"their.jsonl": 1}))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_a_suite_s_argument_names_at_any_depth_is_an_input(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, argument: Any
) -> None:
    root = tmp_path_factory.mktemp("depth")
    fill(root)
    (root / "their.jsonl").write_text("1")
    entry = EntryPoint(name="theirs", value="json:Suite", group="ratchet.suites")
    monkeypatch.setattr(extensions, "entry_points", lambda group: [entry])
    params = params_of(suites={"theirs": {"file": argument}})
    assert changed_by(root, params, lambda: (root / "their.jsonl").write_text("2\n")) == {"evaluate"}


@pytest.mark.parametrize(
    ("said", "readers"),
    [
        ({"url": "file:///x", "dir_info": {"editable": True}}, {"train", "evaluate"}),
        ({"url": "file:///x", "dir_info": {}}, set()),
        (None, set()),
    ],
)
def test_an_edit_of_a_scorer_in_editable_mode_is_another_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Any, readers: set[str]
) -> None:
    fill(tmp_path)
    site = tmp_path / "site"
    about = site / "bert_score-9.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bert-score\nVersion: 9.0\n")
    (about / "RECORD").write_text("")
    if said is not None:
        (about / "direct_url.json").write_text(json.dumps(said))
    code = site / "bert_score/deep/score.py"
    code.parent.mkdir(parents=True)
    (site / "bert_score/__init__.py").write_text("")
    code.write_text("a = 1\n")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.delitem(sys.modules, "bert_score", raising=False)
    assert changed_by(tmp_path, params_of(), lambda: code.write_text("a = 22\n")) == readers


def test_what_is_absent_is_named_and_the_earlier_files_stay(tmp_path: Path) -> None:
    fill(tmp_path)
    paths = ArtifactPaths(tmp_path)
    run(params_of(), paths)
    before = paths.inputs("fetch").read_bytes()
    (tmp_path / "template.jinja").unlink()
    for path in sorted((tmp_path / "encoder").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (tmp_path / "encoder").rmdir()
    with pytest.raises(UsageError) as caught:
        run(params_of(), paths)
    said = str(caught.value)
    assert "model.chat_template cannot be read" in said
    assert "encoder" in said
    assert paths.inputs("fetch").read_bytes() == before
    assert {Path(path).stem for path in changed(params_of(), paths)} == {"fetch", "contamination"}
