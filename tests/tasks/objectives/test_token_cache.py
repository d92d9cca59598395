"""Tokens are made once for the same rows, tokenizer and template, and never read from a damaged file."""

import json
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from tasks.objectives.conversation import Labelled, Labeller
from tasks.objectives.documents import Example
from tasks.training.rows import examples
from tasks.training.rows.examples import read_examples


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def write_rows(path: Path, *answers: str) -> Path:
    rows = [
        {
            "id": f"r{number}",
            "messages": [{"role": "user", "content": "where is it"}, {"role": "assistant", "content": answer}],
        }
        for number, answer in enumerate(answers)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Reader:
    """Reads rows and counts those that it tokenised."""

    def __init__(self, rows: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows, self.cache, self.made = rows, cache, 0
        label = Labeller.label

        def counting(*args: Any) -> list[Labelled]:
            self.made += 1
            return label(*args)

        monkeypatch.setattr(Labeller, "label", counting)

    def read(self, tokenizer: Any, ends: set[int] | None = None) -> tuple[list[Example], int]:
        before = self.made
        found = read_examples(self.rows, tokenizer, 500, end_ids=ends, cache=self.cache)
        return found, self.made - before


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(write_rows(tmp_path / "train.jsonl", "it is here", "no"), tmp_path / "tokens", monkeypatch)


def test_the_second_read_gives_the_same_examples_and_tokenises_nothing(reader: Reader, tokenizer: Any) -> None:
    first, made = reader.read(tokenizer)
    assert made == 2
    assert reader.read(tokenizer) == (first, 0)
    assert first == read_examples(reader.rows, tokenizer, 500)


def test_a_changed_row_template_or_end_tokenises_again(reader: Reader, tokenizer: Any) -> None:
    reader.read(tokenizer)
    assert reader.read(tokenizer, {tokenizer.eos_token_id, 5})[1] == 2
    template = tokenizer.chat_template
    tokenizer.chat_template = "{# other #}" + template
    assert reader.read(tokenizer)[1] == 2
    tokenizer.chat_template = template
    write_rows(reader.rows, "it is here", "yes")
    assert reader.read(tokenizer)[1] == 2
    write_rows(reader.rows, "it is here", "no")
    assert reader.read(tokenizer)[1] == 0


def test_a_damaged_file_is_never_read(reader: Reader, tokenizer: Any, caplog: pytest.LogCaptureFixture) -> None:
    first, _ = reader.read(tokenizer)
    (file,) = reader.cache.iterdir()
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (bytes(flipped), whole[:-7], b""):
        file.write_bytes(damaged)
        assert reader.read(tokenizer) == (first, 2)
        assert f"{file} is damaged" in caplog.text
        assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_the_cache_only(
    reader: Reader, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reader.cache = reader.rows / "tokens"  # below a file
    assert len(reader.read(tokenizer)[0]) == 2
    assert "cannot be written" in caplog.text


def test_many_rows_are_tokenised_by_several_processes_in_their_order(
    tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write_rows(tmp_path / "train.jsonl", *("here " * (1 + n) for n in range(7)))
    alone = read_examples(rows, tokenizer, 500)
    monkeypatch.setattr(examples, "ROWS_OF_A_PROCESS", 3)
    monkeypatch.setattr(examples.os, "sched_getaffinity", lambda _: {0, 1})
    assert read_examples(rows, tokenizer, 500) == alone
    write_rows(rows, *["here"] * 6, "")
    tokenizer.chat_template = tokenizer.chat_template.replace("message['content']", "'other'")
    with pytest.raises(UsageError, match=r"row 'r0': the chat template drops"):
        read_examples(rows, tokenizer, 500)


def test_a_tokenizer_that_reads_special_tokens_as_text_gets_tokens_of_its_own(
    reader: Reader, tokenizer: Any, tiny_model: Path
) -> None:
    from transformers import AutoTokenizer

    write_rows(reader.rows, "before<|im_end|>after")
    _, made = reader.read(tokenizer)
    splitting = AutoTokenizer.from_pretrained(tiny_model, split_special_tokens=True)
    # The template's end of turn is text to it too, so no row can be trained on: the first reader's must not come back.
    with pytest.raises(UsageError, match="ends the answer with no token"):
        reader.read(splitting)
    assert made == 1
