"""Held-out text against transformers' own loss."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.suites.perplexity import PerplexitySuite, windows
from evalsuite.testing import FakeEngine

TEXTS = ["Where is my parcel? The router that I ordered last week has not arrived.", "The camera is broken."]


def write(folder: Path, rows: list[Any]) -> Path:
    path = folder / "held_out.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_one_window_gives_the_model_s_own_loss(tmp_path: Path, tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from evalsuite.engines.hf import HFEngine

    result = PerplexitySuite(write(tmp_path, [{"text": text} for text in TEXTS])).run(HFEngine.load(tiny_model, "t"))
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_model), AutoModelForCausalLM.from_pretrained(tiny_model)
    nats = 0.0
    for text in TEXTS:
        ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(text)["input_ids"]]])
        with torch.inference_mode():
            nats += float(model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
    found = {row.metric: row.mean for row in result.summary().metrics}
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / sum(map(len, TEXTS)), rel=1e-4)
    assert found["bits_per_word"] == pytest.approx(nats / math.log(2) / 18, rel=1e-4)


def test_each_window_is_conditioned_on_the_words_before_it(tmp_path: Path, tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from evalsuite.engines.hf import HFEngine

    pairs = windows(TEXTS[0], 8, 4)
    assert pairs == [
        ("", "Where is my parcel? The router that I"),
        (" The router that I", " ordered last week has"),
        (" ordered last week has", " not arrived."),
    ]
    suite = PerplexitySuite(write(tmp_path, [{"text": TEXTS[0]}]), window_words=8, stride_words=4)
    bits = suite.run(HFEngine.load(tiny_model, "t")).items[0].scores["bits_per_byte"]
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_model), AutoModelForCausalLM.from_pretrained(tiny_model)
    nats = 0.0
    for context, continuation in pairs:
        before = tokenizer(context)["input_ids"] if context else [tokenizer.eos_token_id]
        ids = torch.tensor([[*before, *tokenizer(continuation)["input_ids"]]])
        labels = ids.clone()
        labels[0, : len(before)] = -100
        with torch.inference_mode():
            nats += float(model(input_ids=ids, labels=labels).loss) * (ids.shape[1] - len(before))
    assert bits == pytest.approx(nats / math.log(2), rel=1e-4)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=300), st.integers(1, 12), st.data())
def test_every_word_is_predicted_once_with_enough_before_it(text: str, window: int, data: Any) -> None:
    stride = data.draw(st.integers(1, window))
    pairs = windows(text, window, stride)
    assert "".join(continuation for _, continuation in pairs) == text.strip()
    for number, (context, continuation) in enumerate(pairs):
        assert len(windows(context + continuation, 10**9, 1)) <= 1
        assert text.strip().startswith("".join(c for _, c in pairs[:number]))
        assert "".join(c for _, c in pairs[:number]).endswith(context)


def test_a_text_that_was_refused_is_unscored_and_keeps_its_weight(tmp_path: Path) -> None:
    from evalsuite.engines.base import Loglikelihood

    refused = Loglikelihood(-math.inf, False, "too long")
    engine = FakeEngine({}, lambda _, text: refused if "camera" in text else -1.0)
    suite = PerplexitySuite(write(tmp_path, [{"text": text} for text in TEXTS]), 4, 2)
    one, two = suite.run(engine).items
    assert one.unscored is None
    assert (two.scores, two.unscored, two.denominators["bits_per_word"]) == ({}, "too long", 4.0)


def test_some_items_give_what_all_give(tmp_path: Path) -> None:
    suite = PerplexitySuite(write(tmp_path, [{"text": text, "id": text[:5]} for text in TEXTS]))
    engine = FakeEngine(lambda _: "")
    assert suite.run(engine, ["The c"]).items == suite.run(engine).items[1:]
    with pytest.raises(UsageError, match="has no item 'x'"):
        suite.run(engine, ["x"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": " "}, r"jsonl:2: text is empty or absent"),
        ({"words": "x"}, r"jsonl:2: text is empty or absent"),
        ("{", r"jsonl:2: not JSON"),
        ({"text": "x", "id": "1"}, r"jsonl:2: id '1' is already that of line 1"),
        ({"text": "x", "slices": {"a": 1}}, r"jsonl:2: slices is not"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, row: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PerplexitySuite(write(tmp_path, [{"text": "one"}, row]))


def test_a_stride_longer_than_the_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"stride_words is 9, expected 1 to window_words \(8\)"):
        PerplexitySuite(write(tmp_path, [{"text": "one"}]), 8, 9)
