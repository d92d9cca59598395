"""Examples in one row must not see each other."""

from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from tasks.objectives.documents import IGNORED, Example
from tasks.training.rows.packing import check_packing
from tests.tasks.training.tiny_trainer import build_tiny_trainer

EXAMPLES = [
    Example([5 + n, 9, 40 + n, 41, 42], [IGNORED, IGNORED, 40 + n, 41, 42][: 3 + n % 3] + [IGNORED] * (2 - n % 3))
    for n in range(4)
]


def trainer(tiny_model: Path, folder: Path) -> Any:
    from trl import SFTTrainer

    return build_tiny_trainer(SFTTrainer, tiny_model, folder, EXAMPLES, padding_free=True)


def test_position_ids_that_restart_keep_examples_apart(tiny_model: Path, tmp_path: Path) -> None:
    check_packing(trainer(tiny_model, tmp_path), EXAMPLES, "fp32")


def test_examples_that_see_each_other_are_refused_before_training(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    built = trainer(tiny_model, tmp_path)
    collate = built.data_collator

    def with_full_attention(rows: list[dict[str, list[int]]]) -> dict[str, Any]:
        batch = collate(rows)
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])  # FlashAttention's own keys go, as on SDPA
        return {key: batch[key] for key in ("input_ids", "labels", "position_ids", "attention_mask")}

    built.data_collator = with_full_attention
    with pytest.raises(UsageError, match=r"see each other with this model and attention 'sdpa'.*train\.packing: false"):
        check_packing(built, EXAMPLES, "fp32")
