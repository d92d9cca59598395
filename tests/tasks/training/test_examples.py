"""Loss on the assistant's tokens only; packing that cannot cross documents."""

from pathlib import Path
from typing import Any

import pytest

from evalsuite.errors import UsageError
from tasks.training.examples import IGNORED, tokenize

TURNS = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "where is it"},
    {"role": "assistant", "content": "it is here"},
]


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def test_only_the_answer_and_its_end_carry_loss(tokenizer: Any) -> None:
    example = tokenize("r", TURNS, tokenizer, 200)
    learnt = [token for token, label in zip(example.input_ids, example.labels, strict=True) if label != IGNORED]
    assert tokenizer.decode(learnt) == "it is here" + tokenizer.eos_token
    assert example.labels[-1] == tokenizer.eos_token_id


def test_the_prompt_is_what_inference_will_see(tokenizer: Any) -> None:
    example = tokenize("r", TURNS, tokenizer, 200)
    prompt = tokenizer.apply_chat_template(TURNS[:-1], tokenize=False, add_generation_prompt=True)
    unlearnt = [token for token, label in zip(example.input_ids, example.labels, strict=True) if label == IGNORED]
    assert unlearnt == tokenizer(prompt)["input_ids"]


def test_a_row_that_is_too_long_is_named(tokenizer: Any) -> None:
    with pytest.raises(UsageError, match=r"row 'r' has \d+ tokens, train\.max_length_tokens is 8"):
        tokenize("r", TURNS, tokenizer, 8)


def test_a_template_that_changes_the_prompt_is_refused(tokenizer: Any) -> None:
    from copy import deepcopy

    other = deepcopy(tokenizer)
    other.chat_template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(UsageError, match="changes the prompt"):
        tokenize("r", TURNS, other, 200)


def test_examples_in_one_row_give_the_loss_that_each_gives_alone(tiny_model: Path, tokenizer: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    texts = ("it is here", "no", "it was sent to you on monday")
    rows = [
        tokenize("r", [*TURNS[:-1], {"role": "assistant", "content": text}], tokenizer, 200)._asdict() for text in texts
    ]
    collate = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)

    def total_loss(batch: dict[str, Any]) -> float:
        inputs = {key: value for key, value in batch.items() if key in ("input_ids", "position_ids")}
        logits = model(**inputs, use_cache=False).logits[0, :-1]
        labels = batch["labels"][0, 1:]
        return float(torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum"))

    with torch.inference_mode():
        packed = total_loss(collate(rows))
        alone = sum(total_loss(collate([row])) for row in rows)
    assert packed == pytest.approx(alone, abs=1e-4)
