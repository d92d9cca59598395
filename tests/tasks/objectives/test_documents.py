"""Continued pretraining: every token of every document is learnt once."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import tasks.stages.plan
from evalsuite.core.errors import UsageError
from tasks.config.params import load_params
from tasks.objectives.documents import IGNORED, document_ids, num_pieces, pieces
from tasks.objectives.text import Text
from tasks.stages.train import run
from tasks.training.rows.examples import read_examples
from tests.tasks.stages.test_train import make_project


@given(st.lists(st.integers(0, 99), min_size=2, max_size=90), st.integers(8, 40))
def test_the_pieces_learn_each_token_but_the_first_once_and_in_order(ids: list[int], limit: int) -> None:
    found = list(pieces(ids, limit))
    learnt = [label for piece in found for label in piece.labels if label != IGNORED]
    assert learnt == ids[1:]
    assert all(2 <= len(piece.input_ids) <= limit for piece in found)
    assert len(found) == num_pieces(len(ids), limit)
    assert all(after.input_ids[0] == before.input_ids[-1] for before, after in pairwise(found))


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def test_a_document_ends_with_the_end_of_text_and_needs_no_chat_template(
    tokenizer: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    template, tokenizer.chat_template = tokenizer.chat_template, None
    texts = ["Where is my parcel? " * 9, "The camera is broken."]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps({"id": text[:5], "text": text, "num_tokens": 1}) + "\n" for text in texts))
    examples = read_examples(path, tokenizer, 16, objective=Text())
    tokenizer.chat_template = template
    learnt = [label for example in examples for label in example.labels if label != IGNORED]
    whole = [document_ids(text, tokenizer) for text in texts]
    assert learnt == whole[0][1:] + whole[1][1:]
    assert whole[0][-1] == tokenizer.eos_token_id
    assert tokenizer.decode(whole[1][:-1]) == texts[1]
    assert f"2 documents in {len(examples)} rows, {len(learnt)} tokens learnt" in caplog.text


def test_a_tokenizer_that_cannot_end_a_document_is_named(tokenizer: Any) -> None:
    end, tokenizer.eos_token = tokenizer.eos_token, None
    with pytest.raises(UsageError, match="no eos_token"):
        document_ids("text", tokenizer)
    tokenizer.eos_token = end


def test_documents_train_to_a_lower_loss_with_a_golden_dev_run_an_epoch(tmp_path: Path, tiny_model: Path) -> None:
    paths = make_project(tmp_path, tiny_model, {"full": {"kind": "full", "learning_rate": 3e-3, "epochs": 2}})
    data = yaml.safe_load(paths.params.read_text())
    data["prepare"]["objective"] = "text"
    data["train"]["max_length_tokens"] = 32
    paths.params.write_text(yaml.safe_dump(data))
    for name, count in (("train", 8), ("dev", 2)):
        rows = [{"id": str(n), "text": "The camera is broken. " * (12 + n), "num_tokens": 60} for n in range(count)]
        (paths.prepared / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    counts = {"rows": 8, "tokens": 480, "longest": 60}
    (paths.prepared / "report.json").write_text(json.dumps({"objective": "text", "splits": {"train": counts}}))
    plan = tasks.stages.plan.run("full", load_params(paths.params), paths)
    assert plan["steps"] == 4 * 2  # eight documents of 60 tokens are 16 rows of at most 32
    assert plan["sequence_tokens"] == 32
    log = run("full", load_params(paths.params), paths)
    assert log.epochs[1].eval_loss < log.epochs[0].eval_loss < 4.0
    assert [set(epoch.golden) for epoch in log.epochs] == [{"exact_match"}, {"exact_match"}]
