"""A trainer of TRL's interface on the tiny model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.objectives.documents import Example


def build_tiny_trainer(
    kind: Any, tiny_model: Path, folder: Path, examples: Sequence[Example], padding_free: bool
) -> Any:
    """One of ``kind`` over ``examples``, three a step."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig

    config = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=3,
        padding_free=padding_free,
        max_length=None,
        bf16=False,
        activation_checkpointing=False,
        use_cpu=True,
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_pin_memory=False,
        report_to="none",
    )
    return kind(
        model=AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32),
        args=config,
        train_dataset=Dataset.from_list([example._asdict() for example in examples]),
        processing_class=AutoTokenizer.from_pretrained(tiny_model),
    )
