"""The plan stage on a tiny model."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import tasks.stages.plan
from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_json, read_model, write_json
from tasks.config.params import Params, parse_params
from tasks.paths import ArtifactPaths
from tasks.planning.architecture import read_config
from tasks.planning.choice import Request, what_fits
from tasks.planning.hardware import read_machines
from tasks.planning.meta_device import count_parameters
from tasks.stages.plan import params_changes
from tasks.training.parallel.launch import LaunchPlan, check_settings
from tasks.training.parallel.strategies import deepspeed_config
from tests.tasks.planning.test_architecture import LLAMA_3_1_8B


@pytest.fixture
def paths(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    paths = ArtifactPaths(tmp_path)
    shutil.copytree(tiny_model, paths.export("base"))
    paths.prepared.mkdir(parents=True)
    write_json(paths.prepared / "report.json", {"splits": {"train": {"rows": 17, "tokens": 340, "longest": 40}}})
    return paths


def params(launch: dict[str, Any] | None = None, **hardware: Any) -> Params:
    methods = {
        "full": {"kind": "full", "learning_rate": 1e-5, "epochs": 3},
        "lora": {"kind": "lora", "learning_rate": 2e-4, "rank": 4},
        "nothing": {"kind": "lora", "learning_rate": 2e-4, "target_modules": ["absent"]},
    }
    return parse_params(
        {
            "model": {"id": "tiny"},
            "prepare": {"sources": ["x.jsonl"]},
            "hardware": hardware,
            "launch": launch or {},
            "methods": methods,
            "train": {"batch_size": 16, "micro_batch_size": 8},
            "evaluation": {"golden": {"path": "golden"}},
            "gate": {"rules": [{"suite": "golden", "metric": "exact_match", "kind": "guard", "margin": 0.1}]},
        }
    )


def test_a_plan_holds_memory_time_cost_and_what_training_depends_on(paths: ArtifactPaths) -> None:
    plan = tasks.stages.plan.run("full", params(tokens_per_second=102.0, price_per_hour=36.0), paths)
    assert read_json(paths.plan("full"), "") == plan
    assert plan["parameters"] == count_parameters(read_config(paths.export("base"))).parameters
    assert plan["steps"] == 2 * 3  # the last batch of 17 rows is not full
    assert plan["seconds"] == pytest.approx(10.0)
    assert plan["cost"] == pytest.approx(0.1)
    launch = read_json(paths.plans / "full.launch.json", "")
    assert launch["trained_parameters"] == plan["trained_parameters"] == plan["parameters"]


@pytest.mark.parametrize("family", ["mamba", "bert", "recurrent_gemma"])
def test_a_base_whose_checkpoints_could_not_be_evaluated_is_refused_before_training(
    family: str, paths: ArtifactPaths
) -> None:
    from transformers import AutoConfig

    AutoConfig.for_model(family).save_pretrained(paths.export("base"))
    with pytest.raises(UsageError, match=rf"model\.id = 'tiny': '{family}'.*name a decoder-only base"):
        tasks.stages.plan.run("full", params(), paths)
    assert not paths.plan("full").exists()


@pytest.mark.parametrize(
    ("launch", "strategy"),
    [
        ({}, "one device"),
        ({"processes_per_node": 2}, "data parallel"),
        ({"processes_per_node": 2, "strategy": "zero2"}, "zero2"),
        ({"processes_per_node": 2, "strategy": "fsdp2"}, "fsdp2"),
    ],
)
def test_what_is_planned_is_what_is_launched(launch: dict[str, Any], strategy: str, paths: ArtifactPaths) -> None:
    plan = tasks.stages.plan.run("full", params(launch), paths)
    launched = read_json(paths.plans / "full.launch.json", "")
    assert plan["strategy"] == launched["strategy"] == strategy
    assert plan["devices"] == launched["num_processes"] == launch.get("processes_per_node", 1)


def test_the_strategy_that_fits_is_chosen_for_several_processes(paths: ArtifactPaths) -> None:
    copied = tasks.stages.plan.run("full", params({"processes_per_node": 2}), paths)["memory_bytes_per_device"]["total"]
    little = {"memory_gib": (copied - 1) / 0.95 / 2**30}
    assert tasks.stages.plan.run("full", params({"processes_per_node": 2}, **little), paths)["strategy"] == "fsdp2"


def test_lora_trains_what_peft_trains(paths: ArtifactPaths) -> None:
    plan = tasks.stages.plan.run("lora", params(), paths)
    assert plan["trained_parameters"] == count_parameters(read_config(paths.export("base"))).adapter_parameters(4)


def test_targets_that_match_nothing_are_named_with_the_method(paths: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match=r"methods\.nothing\.target_modules = .*absent"):
        tasks.stages.plan.run("nothing", params(), paths)


def test_a_method_that_does_not_fit_stops_before_anything_is_written(paths: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match=r"'full' needs about .* no kind fits"):
        tasks.stages.plan.run("full", params(memory_gib=0.001), paths)
    assert not paths.plans.exists()


def test_what_is_offered_names_settings_of_params_and_fits() -> None:
    model = count_parameters(LLAMA_3_1_8B)
    full = params().methods["full"].kind
    for gpus, expected in (("1xH200", "kind: lora"), ("24GB", "kind: qlora with both"), ("T4", None)):
        request = Request(
            kind=full, machines=read_machines(gpus, 1), micro_batch=8, sequence_tokens=1024, evaluates=True
        )
        found = [text for text, option in what_fits(model, params_changes(request, params().train)) if option.fits]
        assert (expected in found) if expected else not [text for text in found if text.startswith("train.")]


def test_a_dev_run_beside_the_model_counts(paths: ArtifactPaths) -> None:
    # the golden dev run loads a second copy of the base, so a single GPU of 24 GB cannot train LoRA on 8B
    model = count_parameters(LLAMA_3_1_8B)
    request = Request(kind=params().methods["lora"].kind, machines=read_machines("24GB", 1), micro_batch=1)
    alone = what_fits(model, [("alone", request)])
    assert [text for text, _ in alone] == ["alone"]
    offloaded = {
        option.setup.strategy.offloads for _, option in what_fits(model, [("both", request._replace(evaluates=True))])
    }
    assert False not in offloaded


TWO = {"processes_per_node": 2}


@pytest.mark.parametrize(("strategy", "file"), [("zero2", "full.deepspeed.json"), ("fsdp2", "full.fsdp.yaml")])
def test_training_runs_by_the_very_file_that_the_plan_wrote(strategy: str, file: str, paths: ArtifactPaths) -> None:
    tasks.stages.plan.run("full", params({**TWO, "strategy": strategy}), paths)
    launched = read_model(paths.plans / "full.launch.json", LaunchPlan, "")
    assert launched.settings is not None
    assert launched.settings.path == f"plans/{file}"
    written = paths.plans / file
    assert written.read_text() == launched.settings.text
    check_settings("full", launched, paths.root)
    written.unlink()  # DVC brings the launch plan back alone
    check_settings("full", launched, paths.root)
    assert written.read_text() == launched.settings.text
    written.write_text(launched.settings.text.replace("2", "3"))
    with pytest.raises(UsageError, match=f"plans/{file} changed since plans/full.launch.json was made"):
        check_settings("full", launched, paths.root)


def test_no_settings_of_an_earlier_strategy_are_left(paths: ArtifactPaths) -> None:
    tasks.stages.plan.run("full", params({**TWO, "strategy": "zero2"}), paths)
    tasks.stages.plan.run("full", params({**TWO, "strategy": "data parallel"}), paths)
    assert not (paths.plans / "full.deepspeed.json").exists()
    assert read_model(paths.plans / "full.launch.json", LaunchPlan, "").settings is None


def test_a_tuned_file_is_used_as_it_is_where_it_runs_what_was_planned(paths: ArtifactPaths) -> None:
    tasks.stages.plan.run("full", params({**TWO, "strategy": "zero2"}), paths)
    settings = read_json(paths.plans / "full.deepspeed.json", "")
    settings["zero_optimization"]["reduce_bucket_size"] = 1_000_000
    own = paths.root / "own.json"
    write_json(own, settings)
    tasks.stages.plan.run("full", params({**TWO, "strategy": "zero2", "settings": "own.json"}), paths)
    launched = read_model(paths.plans / "full.launch.json", LaunchPlan, "")
    assert deepspeed_config(launched) == settings
    settings["zero_optimization"]["stage"] = 1
    write_json(own, settings)
    with pytest.raises(UsageError, match=r"own.json changed since"):
        check_settings("full", launched, paths.root)
    with pytest.raises(UsageError, match=r"'own.json' has zero_optimization.stage 1, the plan 2"):
        tasks.stages.plan.run("full", params({**TWO, "strategy": "zero2", "settings": "own.json"}), paths)
    with pytest.raises(UsageError, match=r"launch.settings = 'own.json': the strategy chosen takes none"):
        tasks.stages.plan.run("full", params({"settings": "own.json"}), paths)
    with pytest.raises(UsageError, match=r"launch.settings = 'absent.json' cannot be read"):
        tasks.stages.plan.run("full", params({**TWO, "strategy": "zero2", "settings": "absent.json"}), paths)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"scheduler": {"type": "OneCycle", "params": {"cycle_max_lr": 0.5}}},
            "scheduler.type 'OneCycle', the plan None",
        ),
        ({"optimizer": {"type": "SGD", "params": {"lr": 0.5}}}, "optimizer.type 'SGD', the plan None"),
        ({"gradient_clipping": 100.0}, "gradient_clipping 100.0, the plan 'auto'"),
        ({"curriculum_learning": {"enabled": True}}, "curriculum_learning.enabled True, the plan None"),
    ],
)
def test_a_tuned_file_does_not_train_by_another_recipe_than_the_methods(
    change: dict[str, Any], text: str, paths: ArtifactPaths
) -> None:
    tasks.stages.plan.run("full", params({**TWO, "strategy": "zero2"}), paths)
    write_json(paths.root / "own.json", read_json(paths.plans / "full.deepspeed.json", "") | change)
    with pytest.raises(UsageError, match=f"'own.json' has {text}: training would not be what was planned"):
        tasks.stages.plan.run("full", params({**TWO, "strategy": "zero2", "settings": "own.json"}), paths)


@pytest.mark.parametrize(
    ("strategy", "more"),
    [
        ("zero2", {"numerics": "bf16_fp32_states"}),
        ("zero3 offload", {"optimizer": "adamw_8bit"}),
        ("fsdp2", {"optimizer": "adamw_8bit"}),
    ],
)
def test_numbers_that_a_strategy_does_not_run_are_named(
    strategy: str, more: dict[str, str], paths: ArtifactPaths
) -> None:
    asked = params({**TWO, "strategy": strategy})
    full = asked.methods["full"].model_validate({**asked.methods["full"].model_dump(exclude_unset=True), **more})
    with pytest.raises(UsageError, match=rf"methods\.full\.numerics = .* does not run by launch.strategy '{strategy}'"):
        tasks.stages.plan.run("full", asked.model_copy(update={"methods": {"full": full}}), paths)
