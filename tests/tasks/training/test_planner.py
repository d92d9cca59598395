"""Arithmetic against published figures."""

from typing import Any

import pytest

from evalsuite.errors import UsageError
from tasks.params import HardwareParams, MethodKind, MethodParams, TrainParams
from tasks.training.planner import (
    DataCounts,
    Memory,
    ModelShape,
    memory,
    model_shape,
    needed_bytes,
    remedies,
    steps,
    tokens_per_second,
    warnings,
)

FULL = MethodParams(kind=MethodKind.FULL, learning_rate=1e-5)
LORA = MethodParams(kind=MethodKind.LORA, learning_rate=2e-4, rank=16)
QLORA = MethodParams(kind=MethodKind.QLORA, learning_rate=2e-4, rank=16)
SEVEN_B = ModelShape(
    parameters=7_000_000_000,
    linear_parameters=6_700_000_000,
    trained_parameters=7_000_000_000,
    layers=32,
    hidden=4096,
    vocabulary=32_000,
)


@pytest.fixture(scope="module")
def llama() -> Any:
    """Llama-2-7B's published configuration."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=32_000,
        hidden_size=4096,
        intermediate_size=11_008,
        num_hidden_layers=32,
        num_attention_heads=32,
        tie_word_embeddings=False,
    )


def test_adam_states_of_seven_billion_parameters_take_56_gb() -> None:
    # ZeRO (Rajbhandari et al. 2020, arXiv:1910.02054, section 3.1): fp32 momentum and variance, 4 + 4 bytes a parameter
    assert memory(SEVEN_B, FULL, TrainParams(), 1024, cuda=True).optimizer == pytest.approx(56e9)


def test_fp32_weights_and_gradients_take_four_bytes_each() -> None:
    needed = memory(SEVEN_B, FULL, TrainParams(), 1024, cuda=False)
    assert (needed.weights, needed.gradients) == (28_000_000_000, 28_000_000_000)


def test_the_worse_of_training_step_and_dev_run_counts() -> None:
    step = Memory(runtime=1, weights=10, gradients=10, optimizer=20, activations=5, logits=5, dev_run=10)
    assert step.total == 1 + 10 + 20 + 20
    assert step._replace(dev_run=50).total == 1 + 10 + 20 + 50


def test_parameters_of_llama_2_7b_are_counted_exactly(llama: Any) -> None:
    # Its model card and checkpoint index: 6,738,415,616, the untied output layer included
    assert model_shape(llama, FULL).parameters == 6_738_415_616


def test_lora_on_every_linear_layer_of_llama_2_7b_trains_forty_million_parameters(llama: Any) -> None:
    # peft prints "trainable params: 39,976,960" for r=16 on all seven linear layers
    assert model_shape(llama, LORA).trained_parameters == 39_976_960


def test_nf4_weights_of_llama_2_7b_fit_in_less_than_four_gib(llama: Any) -> None:
    # QLoRA (arXiv:2305.14314, figure 6): 7B base weights 3.7-4 GB, embeddings and output layer unquantised in 16 bits
    shape = model_shape(llama, QLORA)
    needed = memory(shape, QLORA, TrainParams(), 1024, cuda=True)
    assert needed.weights - 4 * shape.trained_parameters == pytest.approx(3.85e9, rel=0.05)


def test_targets_that_match_nothing_are_named(llama: Any) -> None:
    method = LORA.model_copy(update={"target_modules": ("absent",)})
    with pytest.raises(UsageError, match=r"target_modules = .*absent"):
        model_shape(llama, method)


def test_what_fits_is_what_is_offered(llama: Any) -> None:
    train = TrainParams(batch_size=8, micro_batch_size=8)
    have = 24 * 2**30  # the golden dev run loads the 13.5 GB base a second time, so LoRA needs more than 27 GB
    assert needed_bytes(memory(model_shape(llama, FULL), FULL, train, 512, cuda=True)) > have
    assert remedies(llama, FULL, train, 512, True, have) == ["kind: qlora with both"]
    assert "kind: lora with both" in remedies(llama, FULL, train, 512, True, 40 * 2**30)
    assert remedies(llama, FULL, train, 512, True, 2**30) == []


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
