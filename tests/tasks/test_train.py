"""Training with a tiny model, killed for real."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.files import read_json, sha256_file, write_json
from evalsuite.identity import verify_manifest
from tasks.params import load_params
from tasks.paths import ArtifactPaths
from tasks.train import run

ROOT = Path(__file__).parents[2]
METHODS = {
    "full": {"kind": "full", "learning_rate": 1e-3, "epochs": 3},
    "lora": {"kind": "lora", "learning_rate": 1e-3, "epochs": 1, "rank": 4},
    "dora": {"kind": "lora", "learning_rate": 1e-3, "epochs": 1, "rank": 4, "use_dora": True},
    "qlora": {"kind": "qlora", "learning_rate": 1e-3, "epochs": 1, "rank": 4},
    "wild": {"kind": "full", "learning_rate": 0.99, "epochs": 3},
    "nothing": {"kind": "lora", "learning_rate": 1e-3, "epochs": 1, "target_modules": ["absent"]},
}


def make_project(root: Path, tiny_model: Path) -> ArtifactPaths:
    """A project up to the train stage, small enough for seconds."""
    paths = ArtifactPaths(root)
    shutil.copytree(tiny_model, paths.export("base"))
    golden = root / "golden"
    golden.mkdir()
    items = [
        {
            "id": f"d{n}",
            "messages": [{"role": "user", "content": f"say {n}"}],
            "references": [str(n)],
            "metrics": ["exact_match"],
        }
        for n in range(6)
    ]
    (golden / "dev.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    entry = {"sha256": sha256_file(golden / "dev.jsonl"), "n": 6}
    manifest = {
        "schema_version": 1,
        "name": "g",
        "version": "1",
        "licence": "x",
        "source": "x",
        "files": {"dev.jsonl": entry},
    }
    write_json(golden / "manifest.json", manifest)
    data: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    data["methods"] = METHODS
    data["train"] |= {"batch_size": 4, "micro_batch_size": 2, "select_metric": "exact_match", "packing": True}
    data["evaluation"] = {"golden": {"path": str(golden), "max_new_tokens": 4}, "harness": {"tasks": {}}}
    paths.params.write_text(yaml.safe_dump(data))
    paths.prepared.mkdir(parents=True)
    for name, count in (("train", 16), ("dev", 4)):
        rows = [
            {
                "id": f"{name}{n}",
                "messages": [
                    {"role": "user", "content": f"say {n} " * (1 + n % 3)},
                    {"role": "assistant", "content": str(n)},
                ],
                "num_tokens": 20,
            }
            for n in range(count)
        ]
        (paths.prepared / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for method in METHODS:
        write_json(paths.plans / f"{method}.launch.json", {"strategy": "one device"})
    return paths


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return make_project(tmp_path, tiny_model)


def start(paths: ArtifactPaths, method: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "tasks.train", method],
        cwd=paths.root,
        env=environment,
        text=True,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, tiny_model: Path) -> None:
    unbroken = make_project(tmp_path / "a", tiny_model)
    first = run("full", load_params(unbroken.params), unbroken)
    killed = make_project(tmp_path / "b", tiny_model)
    process = start(killed, "full")
    deadline = time.monotonic() + 120
    while not list(killed.checkpoints("full").glob("checkpoint-*/complete.json")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not killed.train_log("full").exists()
    second = run("full", load_params(killed.params), killed)
    assert second.resumed_from_steps != ()
    assert second.identity == first.identity
    assert [step.loss for step in second.steps] == [step.loss for step in first.steps]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "dora", "qlora"])
def test_an_adapter_is_exported_as_complete_weights(project: ArtifactPaths, method: str) -> None:
    from transformers import AutoModelForCausalLM

    log = run(method, load_params(project.params), project)
    assert verify_manifest(project.export(method), "x").identity == log.identity
    model: Any = AutoModelForCausalLM.from_pretrained(project.export(method))
    assert model.num_parameters() == read_json(project.export("base") / "manifest.json", "x")["num_parameters"]
    assert 0 < log.trainable_parameters < log.total_parameters
    assert log.merge_max_abs_difference is not None
    assert log.merge_max_abs_difference < 1e-4
    assert log.effective["trained_dtype"] == "float32"
    assert log.effective["quantised"] == (method == "qlora")


def test_a_target_that_matches_nothing_is_refused_before_the_first_step(project: ArtifactPaths) -> None:
    from evalsuite.errors import UsageError

    with pytest.raises(UsageError, match=r"methods\.nothing\.target_modules = .*absent"):
        run("nothing", load_params(project.params), project)


def test_a_loss_that_is_no_number_stops_and_names_the_step(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    from evalsuite.errors import StageError

    weights = project.export("base") / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"] = tensors["model.norm.weight"] * float("nan")
    save_file(tensors, weights, metadata={"format": "pt"})
    from evalsuite.identity import write_manifest

    write_manifest(project.export("base"), "broken")
    with pytest.raises(StageError, match=r"full: the loss is nan at step 1; last good checkpoint: none"):
        run("full", load_params(project.params), project)
