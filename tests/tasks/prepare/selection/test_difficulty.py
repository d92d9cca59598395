"""How hard a row's answer is for the base model, against what transformers says of one row."""

import math
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import MissingArtifactError
from tasks.config.train import Answers
from tasks.data.formats import Row
from tasks.objectives.text import Text
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.selection.difficulty import Difficulty, difficulties


def chat(number: int, question: str, answer: str, **turn: Any) -> Row:
    turns = ({"role": "user", "content": question}, {"role": "assistant", "content": answer, **turn})
    return Row(f"f:{number}", f"id{number}", "chat", turns, {})


def loss_of(model: Any, ids: list[int], learnt: list[int]) -> float:
    """transformers' own loss, on one sequence."""
    import torch

    labels = [token if place in learnt else -100 for place, token in enumerate(ids)]
    with torch.inference_mode():
        return float(model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss)


def test_losses_are_those_of_transformers_row_by_row_whatever_the_batch(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = [chat(n, f"{'please ' * n}say it {n}", f"{'yes ' * (7 - n)}done") for n in range(7)]
    found = difficulties(rows, TokenLengths(tiny_model, 256, Answers.ALL))
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_model)
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    for row, difficulty in zip(rows, found, strict=True):
        asked = tokenizer.apply_chat_template([row.messages[0]], add_generation_prompt=True, tokenize=False)
        whole = tokenizer.apply_chat_template(list(row.messages), tokenize=False)
        ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
        begin = len(tokenizer(asked, add_special_tokens=False)["input_ids"])
        end = ids.index(tokenizer.eos_token_id, begin) + 1  # of the template's tail only the end of the turn is learnt
        assert difficulty.asked == pytest.approx(loss_of(model, ids, list(range(begin, end))), abs=2e-4)
        alone = [ids[0], *ids[begin:end]]
        assert difficulty.alone == pytest.approx(loss_of(model, alone, list(range(1, len(alone)))), abs=2e-4)


def test_what_is_not_learnt_has_no_difficulty_and_a_document_has_its_perplexity(tiny_model: Path) -> None:
    (nothing,) = difficulties([chat(0, "q", "a", weight=0)], TokenLengths(tiny_model, 256, Answers.ALL))
    assert math.isnan(nothing.ifd)
    document = Row("f:1", "id", "text", (), {}, "one two three four five")
    (found,) = difficulties([document], TokenLengths(tiny_model, 256, Answers.ALL, Text()))
    assert 1.0 < found.perplexity < 1e6


def test_instruction_following_difficulty_is_the_paper_s_ratio() -> None:
    assert Difficulty(asked=1.5, alone=3.0).ifd == 0.5


def test_a_model_that_was_not_fetched_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match="ratchet stage fetch"):
        difficulties([chat(0, "q", "a")], TokenLengths(tmp_path, 256, Answers.ALL))
