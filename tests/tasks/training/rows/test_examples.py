"""Loss on the assistant's tokens only; packing that cannot cross documents."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from demo.tiny_model import CHAT_TEMPLATE
from evalsuite.core.errors import UsageError
from tasks.config.train import LongRows
from tasks.objectives.documents import IGNORED, Example
from tasks.training.rows.examples import read_examples
from tasks.training.rows.inputs import check_special_tokens, check_vocabulary
from tests.tasks.training.rows.tokenized import tokenize

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
    [example] = tokenize("r", TURNS, tokenizer)
    learnt = [token for token, label in zip(example.input_ids, example.labels, strict=True) if label != IGNORED]
    assert tokenizer.decode(learnt) == "it is here" + tokenizer.eos_token
    assert example.labels[-1] == tokenizer.eos_token_id


def test_the_prompt_is_what_inference_will_see(tokenizer: Any) -> None:
    [example] = tokenize("r", TURNS, tokenizer)
    prompt = tokenizer.apply_chat_template(TURNS[:-1], tokenize=False, add_generation_prompt=True)
    unlearnt = [token for token, label in zip(example.input_ids, example.labels, strict=True) if label == IGNORED]
    assert unlearnt == tokenizer(prompt)["input_ids"]


def write_rows(folder: Path, *answers: str) -> Path:
    path = folder / "train.jsonl"
    rows = [
        {"id": f"r{number}", "messages": [*TURNS[:-1], {"role": "assistant", "content": answer}]}
        for number, answer in enumerate(answers)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rows_that_are_too_long_are_counted_and_the_longest_is_named(tokenizer: Any, tmp_path: Path) -> None:
    path = write_rows(tmp_path, "no", "it is here " * 20, "it is here " * 30)
    with pytest.raises(UsageError, match=r"2 of 3 rows of .* have more than train\.max_length_tokens = 100 tokens"):
        read_examples(path, tokenizer, 100)
    with pytest.raises(UsageError, match=r"\(row 'r2' has \d{3} tokens|\(row 'r2' has \d{3}\).*train\.long_rows"):
        read_examples(path, tokenizer, 100)


def test_rows_that_are_too_long_can_be_dropped_or_cut(
    tokenizer: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_rows(tmp_path, "no", "it is here " * 30)
    assert [example.labels[-1] for example in read_examples(path, tokenizer, 100, LongRows.DROP)] == [
        tokenizer.eos_token_id
    ]
    cut = read_examples(path, tokenizer, 100, LongRows.TRUNCATE)
    assert [len(example.input_ids) == 100 for example in cut] == [False, True]
    assert "1 of 2 rows" in caplog.text
    with pytest.raises(UsageError, match="has no rows"):
        read_examples(path, tokenizer, 8, LongRows.TRUNCATE)
    assert "2 of them had no answer left and are dropped (the first is 'r0')" in caplog.text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (CHAT_TEMPLATE.replace("{{ message['content'] }}<", "<"), "drops or changes the text of a system message"),
        (
            "{% for message in messages %}{% if message['role'] != 'assistant' %}{{ message['content'] }}{% endif %}"
            "{% endfor %}",
            "drops or changes the assistant's text",
        ),
        (
            CHAT_TEMPLATE.replace(
                "{{ message['content'] }}", "{% if message['role'] == 'assistant' %}Sure! {% endif %}"
            ).replace("Sure! {% endif %}", "Sure! {% endif %}{{ message['content'] }}"),
            "adds 'Sure!' to the answer",
        ),
        (
            "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
            "{% if add_generation_prompt %}assistant: {% endif %}",
            "ends the answer with no token at which generation stops",
        ),
    ],
    ids=["drops the prompt", "drops the answer", "adds text", "no end"],
)
def test_a_template_that_loses_or_adds_text_or_never_ends_is_refused_with_the_row(
    tokenizer: Any, template: str, text: str
) -> None:
    other = deepcopy(tokenizer)
    other.chat_template = template
    with pytest.raises(UsageError, match=f"row 'r': the chat template {text}"):
        tokenize("r", TURNS, other)


def test_an_end_token_of_the_generation_config_counts(tokenizer: Any) -> None:
    other = deepcopy(tokenizer)
    other.chat_template = (
        "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}<|im_start|>{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    start = other.convert_tokens_to_ids("<|im_start|>")
    [example] = tokenize("r", TURNS, other, {start, other.eos_token_id})
    assert example.labels[-1] == start


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tokenizer: Any) -> None:
    check_vocabulary([Example([3, 10], [3, 10])], tokenizer, 11)
    with pytest.raises(UsageError, match=r"gives token 10 \('.*'\), the model's vocabulary has 10"):
        check_vocabulary([Example([3, 10], [3, 10])], tokenizer, 10)


def test_a_tokenizer_that_ends_every_prompt_is_refused(tiny_model: Path) -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    other: Any = AutoTokenizer.from_pretrained(tiny_model)
    check_special_tokens(other)
    ends = [(other.eos_token, other.eos_token_id)]
    other._tokenizer.post_processor = TemplateProcessing(single=f"{other.eos_token} $A", special_tokens=ends)
    check_special_tokens(other)  # one at the beginning is usual
    other._tokenizer.post_processor = TemplateProcessing(single=f"$A {other.eos_token}", special_tokens=ends)
    with pytest.raises(UsageError, match=r"adds '<\|im_end\|>' after every text, prompts included"):
        check_special_tokens(other)


def test_a_template_that_changes_the_prompt_is_refused(tokenizer: Any) -> None:
    other = deepcopy(tokenizer)
    other.chat_template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(UsageError, match="changes the prompt"):
        tokenize("r", TURNS, other)


def test_examples_in_one_row_give_the_loss_that_each_gives_alone(tiny_model: Path, tokenizer: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    texts = ("it is here", "no", "it was sent to you on monday")
    rows = [
        tokenize("r", [*TURNS[:-1], {"role": "assistant", "content": text}], tokenizer)[0]._asdict() for text in texts
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
