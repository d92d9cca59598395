"""Token counts of rows, against the tokenizer itself."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.config.prepare import PrepareParams
from tasks.config.train import Answers
from tasks.data.formats import Row
from tasks.paths import ArtifactPaths
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.order import ChosenStep
from tasks.prepare.runner import run_steps
from tasks.prepare.scale.stored import Rows
from tasks.prepare.steps import Note, Outcome, Step, StepInputs


class LongerInPlace(Step):
    """Asks how long rows are, and then changes the very rows that it was given."""

    changes_rows = True

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        given.lengths.of(rows)
        for row in rows[:2]:
            row.messages[0]["content"] += " and where are all the other parcels that I ordered last week?"
        return Outcome(rows, changed=[Note(row.source, "longer") for row in rows[:2]])


def test_a_row_is_counted_as_it_is_written_however_often_it_was_counted_before(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    shutil.copytree(tiny_model, tmp_path / "model")
    lengths = TokenLengths(tmp_path / "model", 1024, Answers.ALL)
    rows = [
        Row(
            f"f:{number}",
            str(number),
            "chat",
            ({"role": "user", "content": f"Where is parcel {number}?"}, {"role": "assistant", "content": "Here."}),
            {},
        )
        for number in range(4)
    ]
    given = StepInputs(PrepareParams(sources=("f",)), ArtifactPaths(tmp_path), lengths)
    kept, _ = run_steps([ChosenStep("longer", LongerInPlace(), "their:Step")], Rows.of(rows), given)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    texts = [tokenizer.apply_chat_template(list(row.messages), tokenize=False) for row in kept]
    expected = [[len(tokenizer(text.rstrip("\n"), add_special_tokens=False).input_ids)] for text in texts]
    assert lengths.of(kept) == expected
    assert expected[0] > expected[3]
    monkeypatch.setattr("tasks.prepare.lengths.tokenize_all", None)
    assert lengths.of(kept[::-1]) == expected[::-1]  # nothing is counted again
