"""Attention within documents is that of a mask over the row, and costs nothing across documents."""

from pathlib import Path
from typing import Any

import pytest

from tasks.objectives.documents import IGNORED, Example
from tasks.training.optim.attention import DOCUMENTS, choose_attention
from tasks.training.optim.supervised import supervised_trainer
from tasks.training.rows.packing import check_packing
from tests.tasks.training.tiny_trainer import build_tiny_trainer

LENGTHS = [5, 1, 9, 3]
EXAMPLES = [
    Example(ids := [5 + length + n for n in range(length + 2)], [IGNORED, IGNORED, *ids[2:]]) for length in LENGTHS
]


def build(tiny_model: Path, folder: Path, attention: bool = True) -> Any:
    trainer = build_tiny_trainer(supervised_trainer(), tiny_model, folder, EXAMPLES, padding_free=True)
    if attention:
        choose_attention(trainer.model, packing=True, provable=True)
        assert trainer.model.config._attn_implementation == DOCUMENTS
    return trainer


def loss_and_gradients(trainer: Any, rows: list[Example], count: int) -> tuple[float, dict[str, Any]]:
    import torch

    batch = trainer.data_collator([row._asdict() for row in rows])
    loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=torch.tensor(count))
    loss.backward()
    return float(loss.detach()), {name: weight.grad for name, weight in trainer.model.named_parameters()}


def test_packed_rows_have_the_loss_and_the_gradient_of_the_examples_one_by_one(
    tiny_model: Path, tmp_path: Path
) -> None:
    import torch

    count = sum(LENGTHS)
    alone, masked = build(tiny_model, tmp_path, attention=False), build(tiny_model, tmp_path, attention=False)
    losses = [loss_and_gradients(alone, [example], count) for example in EXAMPLES]
    packed, found = loss_and_gradients(build(tiny_model, tmp_path), EXAMPLES, count)
    theirs, under_mask = loss_and_gradients(masked, EXAMPLES, count)
    assert packed == pytest.approx(sum(loss for loss, _ in losses), rel=1e-5)
    assert packed == pytest.approx(theirs, rel=1e-5)
    for name, gradient in losses[-1][1].items():  # those of all examples, added up
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)
        torch.testing.assert_close(found[name], under_mask[name], rtol=1e-4, atol=1e-6, msg=name)


def test_no_token_of_a_packed_micro_batch_is_padding(tiny_model: Path, tmp_path: Path) -> None:
    batch = build(tiny_model, tmp_path).data_collator([row._asdict() for row in EXAMPLES])
    assert batch["input_ids"].tolist() == [[token for row in EXAMPLES for token in row.input_ids]]
    assert "attention_mask" not in batch


def test_documents_are_computed_one_by_one_without_a_mask(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    computed: list[tuple[int, bool]] = []
    compute = torch.nn.functional.scaled_dot_product_attention

    def recording(query: Any, key: Any, value: Any, mask: Any = None, *args: Any, **kwargs: Any) -> Any:
        computed.append((query.shape[2], mask is None and kwargs.get("attn_mask") is None))
        return compute(query, key, value, mask, *args, **kwargs)

    trainer = build(tiny_model, tmp_path)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", recording)
    loss_and_gradients(trainer, EXAMPLES, 1)
    layers = trainer.model.config.num_hidden_layers
    assert computed == [(length + 2, True) for length in LENGTHS] * layers


def test_a_model_that_does_not_pass_on_where_documents_begin_gets_a_mask(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = build(tiny_model, tmp_path)
    forward = trainer.model.forward

    def forgetful(*args: Any, cu_seq_lens_q: Any = None, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    trainer.model.forward = forgetful
    check_packing(trainer, EXAMPLES, "fp32")
    assert trainer.model.config._attn_implementation == "sdpa"
    assert "attention within each document is off" in caplog.text


def test_a_sliding_window_keeps_its_mask(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config

    config = Qwen2Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_sliding_window=True,
        sliding_window=3,
        max_window_layers=1,
    )
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    ids = torch.arange(1, 21)[None]
    rows = {"position_ids": torch.cat([torch.arange(12), torch.arange(8)])[None], "use_cache": False}
    expected = model(ids, **rows).logits
    choose_attention(model, packing=True, provable=True)
    starts = torch.tensor([0, 12, 20], dtype=torch.int32)
    torch.testing.assert_close(model(ids, **rows, cu_seq_lens_q=starts).logits, expected, rtol=1e-4, atol=1e-5)
