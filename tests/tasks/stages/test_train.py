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

import tasks.methods.lora
import tasks.stages.plan
import tasks.stages.train
from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import read_json, sha256_file, write_json
from evalsuite.core.identity import verify_manifest, write_manifest
from tasks.config.params import load_params
from tasks.dvc_command import FORCED
from tasks.paths import ArtifactPaths
from tasks.stages.train import run
from tasks.training.parallel.launch import LaunchPlan
from tasks.training.state.checkpoints import complete_checkpoints, open_root
from tasks.training.state.outcome import OUTCOME

ROOT = Path(__file__).parents[3]
METHODS = {
    "full": {"kind": "full", "learning_rate": 1e-3, "epochs": 3},
    "lora": {"kind": "lora", "learning_rate": 1e-3, "epochs": 1, "rank": 4},
    "dora": {"kind": "lora", "learning_rate": 1e-3, "epochs": 1, "rank": 4, "use_dora": True},
    "qlora": {"kind": "qlora", "learning_rate": 1e-3, "epochs": 2, "rank": 4},
    "nothing": {"kind": "lora", "learning_rate": 1e-3, "epochs": 1, "target_modules": ["absent"]},
}


def make_project(root: Path, tiny_model: Path, methods: dict[str, Any] = METHODS) -> ArtifactPaths:
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
    entries = {}
    for split, rows in (("dev", items), ("test", items * 60)):
        path = golden / f"{split}.jsonl"
        path.write_text("".join(json.dumps({**row, "id": f"{split}{n}"}) + "\n" for n, row in enumerate(rows)))
        entries[path.name] = {"sha256": sha256_file(path), "n": len(rows)}
    manifest = {
        "schema_version": 1,
        "name": "g",
        "version": "1",
        "licence": "x",
        "source": "x",
        "files": entries,
    }
    write_json(golden / "manifest.json", manifest)
    data: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    data["methods"] = methods
    data["train"] |= {"batch_size": 4, "micro_batch_size": 2, "select_metric": "exact_match"}
    data["train"] |= {"packing": True, "divergence_patience": 1}
    data["compare"]["metric"] = "exact_match"
    data["evaluation"] = {"golden": {"path": str(golden), "max_new_tokens": 4}, "harness": {"tasks": {}}}
    data["gate"] = {"rules": [{"suite": "golden", "metric": "exact_match", "kind": "guard", "margin": 0.1}]}
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
    write_json(paths.prepared / "report.json", {"splits": {"train": {"rows": 16, "tokens": 320, "longest": 40}}})
    for method in methods:
        if method != "nothing":
            tasks.stages.plan.run(method, load_params(paths.params), paths)
    return paths


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return make_project(tmp_path, tiny_model)


def start(paths: ArtifactPaths, method: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "tasks.stage", "train", method],
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
    while not list(killed.checkpoints("full").glob("checkpoint-*/complete.json")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not killed.train_log("full").exists()
    second = run("full", load_params(killed.params), killed)
    assert second.resumed_from_steps != ()
    assert second.train_seconds > sum(epoch.seconds for epoch in second.epochs)
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
    assert (log.quantisation_max_abs_difference is not None) == (method == "qlora")


def test_a_failed_export_is_repeated_without_training(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    params = load_params(project.params)
    monkeypatch.setattr(tasks.methods.lora, "MERGE_TOLERANCE", -1.0)
    with pytest.raises(StageError, match="nothing was exported"):
        run("lora", params, project)
    assert not project.export("lora").exists()
    left = project.export("lora").parent / ".export-left"
    left.mkdir(parents=True)
    monkeypatch.undo()
    caplog.set_level("INFO")
    log = run("lora", params, project)
    assert "all epochs were done before" in caplog.text
    assert " step " not in caplog.text
    assert log.resumed_from_steps == ()
    assert len(log.steps) == 4
    assert not left.exists()


def test_a_run_killed_after_an_early_stop_does_not_go_on_past_it(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StageError("the disk is full")

    params = load_params(project.params)
    monkeypatch.setattr(tasks.training.export, "check_disk", full)
    with pytest.raises(StageError, match="the disk is full"):
        run("full", params, project)
    monkeypatch.undo()
    root = project.checkpoints("full")
    (root / OUTCOME).unlink()
    shutil.rmtree(root / "checkpoint-12")
    for path in (root / "records" / "epoch-0002.json", root / "checkpoint-8" / "complete.json"):
        data = json.loads(path.read_text())
        (data.get("record") or data)["eval_loss"] = 99.0
        write_json(path, data)
    log = run("full", params, project)
    assert [epoch.epoch for epoch in log.epochs] == [1, 2]
    assert log.stopped_early is not None
    assert "eval loss rose" in log.stopped_early
    assert max(step.step for step in log.steps) == 8


def test_a_finished_training_keeps_its_last_epochs_without_the_optimizers_state(project: ArtifactPaths) -> None:
    log = run("full", load_params(project.params), project)
    root = project.checkpoints("full")
    assert [record for _, record in complete_checkpoints(root)] == list(log.epochs)
    kept = {path.name for path in root.glob("checkpoint-*/*")}
    assert {"model.safetensors", "tokenizer.json", "trainer_state.json"} <= kept
    assert not {"optimizer.pt", "scheduler.pt", "rng_state.pth"} & kept
    again = run("full", load_params(project.params), project)
    assert (again.identity, again.steps, again.train_seconds) == (log.identity, log.steps, log.train_seconds)


def test_force_trains_again_and_keeps_the_finished_training_until_then(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    params = load_params(project.params)
    log = run("lora", params, project)
    finished = project.checkpoints("lora").with_name("lora.finished")
    monkeypatch.setenv(FORCED, "1")
    caplog.set_level("INFO")
    with monkeypatch.context() as patch:
        patch.setattr(tasks.stages.train, "train", _broken)
        with pytest.raises(StageError, match="broken"):
            run("lora", params, project)
    assert f"training again, as asked; the finished training is kept in {finished} until then" in caplog.text
    assert [record for _, record in complete_checkpoints(finished)] == list(log.epochs)
    caplog.clear()
    again = run("lora", params, project)
    assert "lora: epoch 1 of 1" in caplog.text
    assert again.identity == log.identity
    assert again.train_seconds != log.train_seconds
    assert not finished.exists()


def _broken(*_: object, **__: object) -> None:
    raise StageError("broken")


def test_a_machine_with_less_memory_than_planned_stops_before_weights_are_loaded(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = read_json(project.plan("full"), "")
    plan["memory_bytes_per_device"]["total"] = 10**15
    write_json(project.plan("full"), plan)
    monkeypatch.setattr(tasks.stages.train, "read_inputs", _broken)
    with pytest.raises(UsageError, match=r"method 'full' needs about 931322.6 GiB and the device here, cpu, has "):
        run("full", load_params(project.params), project)


def test_a_checkpoint_without_optimizer_state_is_never_resumed(
    project: ArtifactPaths, caplog: pytest.LogCaptureFixture
) -> None:
    log = run("full", load_params(project.params), project)
    shutil.rmtree(project.checkpoints("full") / "checkpoint-12")
    again = run("full", load_params(project.params), project)
    assert "training starts anew" in caplog.text
    assert again.resumed_from_steps == ()
    assert again.identity == log.identity


def test_weights_ship_in_the_base_models_own_type(project: ArtifactPaths) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    base = project.export("base")
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    model.save_pretrained(base)
    write_manifest(base, "bf16")
    log = run("lora", load_params(project.params), project)
    shipped: Any = AutoModelForCausalLM.from_pretrained(project.export("lora"), dtype="auto")
    assert shipped.dtype == torch.bfloat16
    assert log.effective["trained_dtype"] == "float32"


def test_another_number_of_trained_parameters_than_planned_stops_before_the_first_step(project: ArtifactPaths) -> None:
    plan = LaunchPlan(device="cpu", numerics="fp32", trained_parameters=7)
    write_json(project.plans / "full.launch.json", plan)
    with pytest.raises(StageError, match=r"trained_parameters is \d+, the plan says 7"):
        run("full", load_params(project.params), project)
    assert not list(project.checkpoints("full").glob("checkpoint-*"))


def test_an_optimizer_asked_for_after_the_plan_is_not_replaced_by_the_planned_one(project: ArtifactPaths) -> None:
    data = yaml.safe_load(project.params.read_text())
    data["methods"]["full"]["optimizer"] = "adamw_8bit"
    project.params.write_text(yaml.safe_dump(data))
    with pytest.raises(UsageError, match=r"optimizer is adamw_8bit in params\.yaml and adamw in plans/full\.launch"):
        run("full", load_params(project.params), project)
    assert not project.checkpoints("full").exists()


def test_a_metric_that_no_dev_item_has_is_named_before_training(project: ArtifactPaths) -> None:
    params = load_params(project.params)
    other = params.model_copy(update={"train": params.train.model_copy(update={"select_metric": "json_fields"})})
    with pytest.raises(UsageError, match=r"select_metric = 'json_fields': no item .* has it; metrics there: exact_mat"):
        run("full", other, project)


def test_a_target_that_matches_nothing_is_refused_before_the_first_step(project: ArtifactPaths) -> None:
    params = load_params(project.params)
    with pytest.raises(UsageError, match=r"methods\.nothing\.target_modules = .*absent"):
        tasks.stages.plan.run("nothing", params, project)
    write_json(project.plans / "nothing.launch.json", LaunchPlan(device="cpu", numerics="fp32", trained_parameters=1))
    with pytest.raises(UsageError, match=r"methods\.nothing\.target_modules = .*absent"):
        run("nothing", params, project)


def test_a_loss_that_is_no_number_stops_and_names_the_step(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    weights = project.export("base") / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"] = tensors["model.norm.weight"] * float("nan")
    save_file(tensors, weights, metadata={"format": "pt"})
    write_manifest(project.export("base"), "broken")
    with pytest.raises(StageError, match=r"full: the loss is nan at step 1; last good checkpoint: none"):
        run("full", load_params(project.params), project)


def test_a_golden_set_that_is_wrong_leaves_earlier_checkpoints(tmp_path: Path, tiny_model: Path) -> None:
    paths = make_project(tmp_path, tiny_model)
    root = paths.checkpoints("full")
    open_root(root, {"plan": "of an earlier run"})
    (root / "checkpoint-1").mkdir()
    golden = tmp_path / "golden/dev.jsonl"
    golden.write_text(golden.read_text() + "\n{}\n")
    with pytest.raises(UsageError, match=r"golden/dev\.jsonl"):
        run("full", load_params(paths.params), paths)
    assert (root / "checkpoint-1").is_dir()
