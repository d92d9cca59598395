"""Sampled decoding: the right distribution, and the same draws whatever else is asked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalsuite.engines.base import GenerationRequest
from evalsuite.engines.hf import HFEngine
from evalsuite.engines.tree.sampling import next_tokens


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> HFEngine:
    return HFEngine.load(tiny_model, "tiny", batch_tokens=2_000)


def sampled(prompt: str, seed: int, count: int = 8) -> GenerationRequest:
    return GenerationRequest(prompt, (), count, 0.9, seed)


def test_tokens_are_drawn_with_the_probabilities_of_the_softmax() -> None:
    import torch
    from scipy.stats import chisquare

    logits, count = torch.tensor([2.0, 0.5, -1.0, 0.0]), 4_000
    requests = [GenerationRequest("x", (), 1, 0.7, seed) for seed in range(count)]
    drawn = next_tokens(logits.expand(count, -1), requests, [3] * count)
    weights = np.exp(np.array([2.0, 0.5, -1.0, 0.0]) / 0.7)
    found = chisquare(np.bincount(drawn, minlength=4), count * weights / weights.sum())
    assert found.pvalue > 0.001


def test_a_greedy_row_beside_drawn_ones_gets_the_likeliest_token() -> None:
    import torch

    logits = torch.tensor([[0.0, 0.1, 0.0]] * 3)
    rows = [GenerationRequest("x", (), 1, 5.0, seed) for seed in (1, 2)]
    assert next_tokens(logits, [*rows, GenerationRequest("x")], [0, 0, 0])[2] == 1


def test_a_batch_draws_what_each_request_draws_alone_from_the_model_s_own_logits(engine: HFEngine) -> None:
    import torch

    requests = [sampled("Where is my parcel?", seed, 4 + seed) for seed in range(5)]
    requests += [sampled("The camera is broken", 1), GenerationRequest("Where is my parcel?", (), 6)]
    answers = engine.generate(requests, "test")
    for request, answer in zip(requests, answers, strict=True):
        ids: list[int] = engine.tokenizer(request.prompt)["input_ids"]
        new: list[int] = []
        while len(new) < request.max_new_tokens:
            with torch.inference_mode():
                logits: Any = engine.model(input_ids=torch.tensor([ids + new])).logits[:, -1]
            (token,) = next_tokens(logits, [request], [len(new)])
            if token == engine.tokenizer.eos_token_id:
                break
            new.append(token)
        assert answer.text == engine.tokenizer.decode(new, skip_special_tokens=True)
    assert len({answer.text for answer in answers[:5]}) == 5


def test_the_order_of_requests_does_not_change_what_is_drawn(engine: HFEngine) -> None:
    requests = [sampled(prompt, seed) for prompt in ("Where", "The router is old") for seed in range(3)]
    forward, backward = engine.generate(requests, "test"), engine.generate(requests[::-1], "test")
    assert forward == backward[::-1]
