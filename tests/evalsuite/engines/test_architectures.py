"""Shared beginnings against each architecture's own attention."""

from typing import Any

import pytest

from evalsuite.engines import hf
from evalsuite.engines.base import GenerationRequest
from evalsuite.engines.hf import HFEngine
from evalsuite.engines.tree.segments import ARCHITECTURES, supports

SIZES = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "sliding_window": None,
    "bos_token_id": None,
    "pad_token_id": None,
}
HEAD = (
    "Question: What organ pumps blood through the body? Answer: the heart. Question: Where is my parcel? Answer: here. "
)


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Any) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def make(model_type: str, tokenizer: Any, **more: Any) -> HFEngine:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        model_type, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, **{**SIZES, **more}
    )
    return HFEngine(AutoModelForCausalLM.from_config(config), tokenizer, model_type)


REQUESTS = [GenerationRequest(HEAD + f"{word} Answer:", (), 8) for word in ("camera", "router is old", "x")]
PAIRS = [(HEAD + context, option) for context in ("camera", "router") for option in (" is here", " is old", "x")]


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_sharing_gives_the_architecture_s_own_answers(
    model_type: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make(model_type, tokenizer)
    assert supports(engine.model.config)
    texts = [answer.text for answer in engine.generate(REQUESTS, "test")]
    scores = engine.loglikelihoods(PAIRS, "test")
    monkeypatch.setattr(hf, "supports", lambda config: False)
    assert texts == [answer.text for answer in engine.generate(REQUESTS, "test")]
    own = engine.loglikelihoods(PAIRS, "test")
    assert [s.value for s in scores] == pytest.approx([s.value for s in own], abs=1e-4)


def test_a_sliding_window_is_not_shared(tokenizer: Any) -> None:
    engine = make("mistral", tokenizer, sliding_window=16)
    assert not supports(engine.model.config)
    assert all(answer.num_output_tokens <= 8 for answer in engine.generate(REQUESTS, "test"))


def test_another_architecture_answers_through_its_own_attention(tokenizer: Any) -> None:
    import torch

    engine = make("gpt_neox", tokenizer)
    assert not supports(engine.model.config)
    answers = engine.generate(REQUESTS, "test")
    for request, answer in zip(REQUESTS, answers, strict=True):
        ids = engine.tokenizer(request.prompt, return_tensors="pt")["input_ids"]
        output: Any = engine.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
        assert answer.text == engine.tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)
