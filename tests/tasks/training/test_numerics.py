"""Numerics and optimizers as the stage runs them: what was planned, and the same after a stop."""

from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import PreemptedError, StageError, UsageError
from evalsuite.core.files import read_json
from evalsuite.core.identity import read_manifest
from tasks.config.params import load_params
from tasks.paths import ArtifactPaths
from tasks.stages.train import run
from tasks.training import worker
from tasks.training.optim import optimizers
from tasks.training.parallel.preemption import StopRequest
from tests.tasks.stages.test_train import make_project

FULL = {"kind": "full", "learning_rate": 1e-3, "epochs": 1}
METHODS: dict[str, dict[str, Any]] = {
    "mixed": {**FULL, "numerics": "mixed"},
    "states": {**FULL, "numerics": "bf16_fp32_states"},
    "pure": {**FULL, "numerics": "pure_bf16"},
    "nearest": {**FULL, "numerics": "pure_bf16", "stochastic_rounding": False},
    "fixed": {**FULL, "numerics": "bf16_fp32_states", "stochastic_rounding": False},
    "small": {**FULL, "numerics": "bf16_fp32_states", "optimizer": "adamw_8bit"},
    "adapter": {"kind": "lora", "learning_rate": 1e-3, "epochs": 1, "rank": 4, "numerics": "mixed"},
    "paged": {**FULL, "optimizer": "paged_adamw_8bit"},
}
RUNS = {
    # weights that are trained, gradients, states, optimizer, autocast, whether weights are rounded at random
    "mixed": ("float32", "float32", "float32", "AdamW", "bf16", False),
    "states": ("bfloat16", "bfloat16", "float32", "Bf16AdamW", "none", True),
    "pure": ("bfloat16", "bfloat16", "bfloat16", "Bf16AdamW", "none", True),
    "nearest": ("bfloat16", "bfloat16", "bfloat16", "AdamW", "none", False),
    "small": ("bfloat16", "bfloat16", "uint8", "AdamW8bit", "none", True),
    "adapter": ("float32", "float32", "float32", "AdamW", "bf16", False),
    "paged": ("float32", "float32", "uint8", "AdamW8bit", "none", False),
}
FIELDS = ("trained_dtype", "gradient_dtype", "optimizer_state_dtype", "optimizer", "autocast", "stochastic_rounding")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> ArtifactPaths:
    return make_project(tmp_path_factory.mktemp("numerics"), tiny_model, METHODS)


class Asked(StopRequest):
    """SIGTERM came before the first step."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = True


@pytest.mark.slow
@pytest.mark.parametrize("method", RUNS)
def test_the_train_log_says_of_each_what_ran(project: ArtifactPaths, method: str) -> None:
    log = run(method, load_params(project.params), project)
    assert tuple(log.effective[field] for field in FIELDS) == RUNS[method]
    assert log.identity != read_manifest(project.export("base"), "").identity


@pytest.mark.slow
@pytest.mark.parametrize("method", ["states", "pure", "small"])
def test_a_training_that_was_stopped_ends_in_the_very_weights_of_one_that_was_not(
    project: ArtifactPaths, tmp_path: Path, tiny_model: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = run(method, load_params(project.params), project)
    broken = make_project(tmp_path, tiny_model, {method: METHODS[method]})
    with monkeypatch.context() as patch:
        patch.setattr(worker, "StopRequest", Asked)
        with pytest.raises(PreemptedError, match="SIGTERM at step 1 of 4"):
            run(method, load_params(broken.params), broken)
    log = run(method, load_params(broken.params), broken)
    assert log.resumed_from_steps == (1,)
    assert log.identity == unbroken.identity
    assert [(each.loss, each.grad_norm) for each in log.steps] == [
        (each.loss, each.grad_norm) for each in unbroken.steps
    ]


def test_states_of_another_type_than_planned_stop_in_the_first_step(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What transformers and TRL do with a bf16 model: torch's AdamW, whose states take the weights' type.
    monkeypatch.setattr(optimizers, "optimizer_class", lambda *_: None)
    with pytest.raises(StageError, match=r"optimizer_state_dtype is 'bfloat16', the plan says 'float32'"):
        run("fixed", load_params(project.params), project)
    assert not list(project.checkpoints("fixed").glob("checkpoint-*"))


def test_a_plan_warns_of_weights_that_are_rounded_to_the_nearest(project: ArtifactPaths) -> None:
    warned = {
        name: [text for text in read_json(project.plan(name), "")["warnings"] if "8 bits round" in text]
        for name in ("pure", "nearest", "mixed")
    }
    assert not warned["mixed"]
    assert not warned["pure"]
    assert "stochastic_rounding" in warned["nearest"][0]


def test_paged_states_without_a_gpu_are_planned_as_8_bit_ones_with_the_reason(project: ArtifactPaths) -> None:
    plan = read_json(project.plan("paged"), "")
    assert plan["optimizer"] == read_json(project.plans / "paged.launch.json", "")["optimizer"] == "adamw_8bit"
    assert [text for text in plan["warnings"] if "pages by CUDA, which is not here" in text]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"kind": "lora", "numerics": "pure_bf16"}, "kind lora takes no numerics pure_bf16"),
        ({"numerics": "pure_bf16", "optimizer": "adamw_8bit"}, "use numerics bf16_fp32_states"),
        ({"numerics": "fp16"}, "numerics"),
    ],
)
def test_numbers_that_no_training_has_are_refused(
    tmp_path: Path, tiny_model: Path, change: dict[str, Any], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        make_project(tmp_path, tiny_model, {"full": {**FULL, **change}})
