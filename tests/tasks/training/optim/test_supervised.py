"""Ratchet's trainer gives the loss and the gradients of TRL's own."""

from pathlib import Path
from typing import Any

import pytest

from tasks.objectives.documents import IGNORED, Example
from tasks.training.optim.supervised import supervised_trainer
from tests.tasks.training.tiny_trainer import build_tiny_trainer

EXAMPLES = [
    Example([5, 9, 40, 41, 42], [IGNORED, IGNORED, 40, 41, 42]),
    Example([6, 9, 50, 51], [IGNORED, IGNORED, IGNORED, 51]),
    Example([7, 30, 9, 60, 61, 62, 63], [IGNORED] * 4 + [61, 62, 63]),
]


def loss_and_gradients(trainer: Any, count: int | None) -> tuple[float, dict[str, Any]]:
    import torch

    batch = trainer.data_collator([example._asdict() for example in EXAMPLES])
    items = None if count is None else torch.tensor(count)
    loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=items)
    loss.backward()
    return float(loss.detach()), {name: weight.grad for name, weight in trainer.model.named_parameters()}


@pytest.mark.parametrize("count", [None, 14], ids=["mean of the batch", "sum over 14 tokens of the step"])
@pytest.mark.parametrize("padding_free", [True, False], ids=["one row", "padded"])
def test_loss_and_gradients_are_those_of_trl(
    tiny_model: Path, tmp_path: Path, padding_free: bool, count: int | None
) -> None:
    import torch
    from trl import SFTTrainer

    theirs, expected = loss_and_gradients(
        build_tiny_trainer(SFTTrainer, tiny_model, tmp_path, EXAMPLES, padding_free), count
    )
    ours, found = loss_and_gradients(
        build_tiny_trainer(supervised_trainer(), tiny_model, tmp_path, EXAMPLES, padding_free), count
    )
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_the_vocabulary_is_projected_at_supervised_positions_only(tiny_model: Path, tmp_path: Path) -> None:
    trainer = build_tiny_trainer(supervised_trainer(), tiny_model, tmp_path, EXAMPLES, True)
    rows: list[int] = []
    head = trainer.model.get_output_embeddings()
    head.register_forward_hook(lambda module, inputs, output: rows.append(output.shape[-2]))
    loss_and_gradients(trainer, None)
    assert rows == [sum(label != IGNORED for example in EXAMPLES for label in example.labels)]


def test_a_batch_without_a_supervised_token_is_a_zero_that_can_be_differentiated(
    tiny_model: Path, tmp_path: Path
) -> None:
    trainer = build_tiny_trainer(supervised_trainer(), tiny_model, tmp_path, EXAMPLES, True)
    batch = trainer.data_collator([{"input_ids": [5, 9, 40], "labels": [IGNORED] * 3}])
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    assert float(loss.detach()) == 0.0
