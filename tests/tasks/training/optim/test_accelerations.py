"""Each acceleration is on, or off with its reason."""

from pathlib import Path
from typing import Any

import pytest

from tasks.objectives.documents import Example
from tasks.training.optim.accelerations import read_accelerations
from tasks.training.optim.attention import choose_attention
from tasks.training.optim.supervised import supervised_trainer
from tests.tasks.training.tiny_trainer import build_tiny_trainer


def build(tiny_model: Path, folder: Path, packing: bool = True) -> Any:
    rows = [Example([5, 6, 7], [-100, 6, 7])] * 3
    trainer = build_tiny_trainer(supervised_trainer(), tiny_model, folder, rows, packing)
    choose_attention(trainer.model, packing, provable=True)
    trainer.create_optimizer()
    return trainer


def test_a_cpu_has_its_own_accelerations_and_says_why_the_others_are_off(tiny_model: Path, tmp_path: Path) -> None:
    assert read_accelerations(build(tiny_model, tmp_path)) == {
        "packing": "on",
        "attention within documents": "on",
        "FlashAttention": "off: no CUDA device",
        "loss in place, at supervised positions": "on",
        "Liger kernels": "off: no CUDA device",
        "fused optimizer": "on",
        "8-bit optimizer": "off: the plan has AdamW with states in full width",
        "paged optimizer": "off: no CUDA device",
        "torch.compile": "off: micro-batches change their length at every step",
    }


def test_without_packing_rows_are_padded_and_attention_needs_no_documents(tiny_model: Path, tmp_path: Path) -> None:
    found = read_accelerations(build(tiny_model, tmp_path, packing=False))
    assert found["packing"] == "off: train.packing is false; rows of like length share a step"
    assert found["attention within documents"] == "off: train.packing is false"


def test_an_8_bit_optimizer_is_told_from_its_class(tiny_model: Path, tmp_path: Path) -> None:
    from bitsandbytes.optim import PagedAdamW8bit

    trainer = build(tiny_model, tmp_path)
    trainer.optimizer = PagedAdamW8bit(trainer.model.parameters())
    found = read_accelerations(trainer)
    assert (found["8-bit optimizer"], found["paged optimizer"]) == ("on", "on")
    assert found["fused optimizer"] == "off: PagedAdamW8bit has no fused step here"


def test_a_mask_over_the_row_is_said(tiny_model: Path, tmp_path: Path) -> None:
    trainer = build(tiny_model, tmp_path)
    trainer.model.set_attn_implementation("sdpa")
    found = read_accelerations(trainer)["attention within documents"]
    assert found == "off: a mask over the row keeps documents apart (attention 'sdpa')"


@pytest.mark.parametrize(
    ("device", "reason"),
    [("cpu", None), ("cuda:0", "on a GPU TRL's loss runs tile by tile")],
)
def test_on_a_gpu_the_loss_is_trl_s(
    device: str, reason: str | None, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    trainer = build(tiny_model, tmp_path)
    monkeypatch.setattr(type(trainer.model), "device", torch.device(device))
    assert trainer.why_full_logits() == reason
