"""Arithmetic against published figures."""

import pytest

from tasks.params import HardwareParams, MethodKind, MethodParams, TrainParams
from tasks.training.planner import DataCounts, ModelShape, memory, steps, tokens_per_second, warnings

SEVEN_B = ModelShape(parameters=7_000_000_000, layers=32, hidden=4096, vocabulary=32_000)
FULL = MethodParams(kind=MethodKind.FULL, learning_rate=1e-5)
QLORA = MethodParams(kind=MethodKind.QLORA, learning_rate=2e-4, rank=16)


def test_adam_states_of_seven_billion_parameters_take_56_gb() -> None:
    # ZeRO (Rajbhandari et al. 2020, arXiv:1910.02054, section 3.1): fp32 momentum and variance, 4 + 4 bytes a parameter
    assert memory(SEVEN_B, FULL, TrainParams(), 1024, cuda=True).optimizer == pytest.approx(56e9)


def test_fp32_weights_and_gradients_take_four_bytes_each() -> None:
    needed = memory(SEVEN_B, FULL, TrainParams(), 1024, cuda=False)
    assert (needed.weights, needed.gradients) == (28_000_000_000, 28_000_000_000)


def test_lora_on_every_linear_layer_of_llama_2_7b_trains_forty_million_parameters() -> None:
    # peft prints 39,976,960 for r=16 on all seven linear layers of Llama-2-7B (side sum 17.2 h with h=4096, mlp 11008)
    trained = memory(SEVEN_B, QLORA, TrainParams(), 1024, cuda=True).gradients / 4
    assert trained == pytest.approx(39_976_960, rel=0.1)


def test_gradient_checkpointing_needs_less_memory() -> None:
    plain = memory(SEVEN_B, FULL, TrainParams(), 1024, cuda=True)
    kept = memory(SEVEN_B, FULL, TrainParams(gradient_checkpointing=True), 1024, cuda=True)
    assert kept.activations < plain.activations / 4


def test_steps_round_the_last_batch_up() -> None:
    assert steps(17, TrainParams(batch_size=8, micro_batch_size=8), FULL) == 9


def test_a_measured_speed_wins_over_the_estimate() -> None:
    assert tokens_per_second(SEVEN_B, FULL, HardwareParams(tokens_per_second=123.0), cuda=False) == 123.0


@pytest.mark.parametrize(
    ("method", "rows", "text"),
    [
        pytest.param(FULL, 500, "LoRA usually does as well", id="few-rows"),
        pytest.param(MethodParams(kind=MethodKind.FULL, learning_rate=1e-3), 50_000, "learning rate", id="full-rate"),
        pytest.param(MethodParams(kind=MethodKind.LORA, learning_rate=1e-6), 500, "learning rate", id="lora-rate"),
        pytest.param(MethodParams(kind=MethodKind.LORA, learning_rate=1e-4, epochs=1), 500, "checkpoints", id="epochs"),
        pytest.param(
            MethodParams(kind=MethodKind.LORA, learning_rate=1e-4, warmup_ratio=0.2), 500, "warm-up", id="warm"
        ),
    ],
)
def test_experience_warns(method: MethodParams, rows: int, text: str) -> None:
    assert any(text in line for line in warnings(method, TrainParams(), DataCounts(rows, rows * 80, 200)))


def test_a_usual_plan_warns_of_nothing() -> None:
    method = MethodParams(kind=MethodKind.LORA, learning_rate=2e-4)
    assert warnings(method, TrainParams(), DataCounts(50_000, 4_000_000, 200)) == []
