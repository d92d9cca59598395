"""What ``ratchet data`` prints of rows, versions and proofs."""

import json
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from flows.cli.data.commands import data_forget
from flows.cli.data.forgotten import show_forgotten, show_proofs
from flows.cli.data.rows import show_diff, show_histories
from tasks.data.synthetic import Seed, Synthetic
from tasks.lineage.difference import compare
from tasks.lineage.forget import Found
from tasks.lineage.history import History, steps_done
from tasks.lineage.proof import Gone, Proof, SeenModel, SeenVersion
from tasks.lineage.versions import Version
from tasks.prepare.record.trail import Event, TrailRow, TrailStep, read_trail, write_trail
from tasks.prepare.runner import Record

HOSTILE = "[red]PROMOTE[/red] \x1b[2J\u202e"


def row(at: int, content: int, side: str = "train", events: tuple[Event, ...] = ()) -> TrailRow:
    return TrailRow(f"data/raw/a.jsonl:{at}", f"id{at}", f"{content:032x}", side, events)


def version(folder: Path, name: str, rows: list[TrailRow]) -> Version:
    path = folder / f"{name}.parquet"
    write_trail(path, rows, [Record("duplicates", len(rows), [], [])])
    return Version(name, "", read_trail(path))


def test_a_row_s_steps_and_texts_are_printed_and_nothing_of_them_comes_alive(
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = Event("duplicates", "dropped", "duplicate", HOSTILE, "data/raw/a.jsonl:1")
    dropped = row(2, 5, "", (event,))
    text = {"messages": [{"role": "user", "content": HOSTILE}, {"role": "assistant", "content": "b", "weight": 0}]}
    steps = steps_done(dropped, (TrailStep("duplicates"), TrailStep("length")))
    show_histories([History(dropped, steps, text, None)], as_json=False)
    said = capsys.readouterr().out
    assert "[red]PROMOTE[/red] ⟨U+001B⟩[2J⟨U+202E⟩" in said
    assert "\x1b[2J" not in said
    assert "see data/raw/a.jsonl:1" in said
    assert "assistant (context, not learnt):" in said
    assert "on neither side" in said
    assert [line.split()[:2] for line in said.splitlines() if line.startswith(("read", "duplicates", "length"))] == [
        ["read", "kept"],
        ["duplicates", "dropped"],
        ["length", "not"],
    ]


def test_what_no_training_reads_of_a_row_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    kept = row(1, 5)
    show_histories([History(kept, steps_done(kept, ()), {"text": "a"}, {"text": "a"}, unused=HOSTILE)], as_json=False)
    assert "[red]PROMOTE[/red] ⟨U+001B⟩[2J" in capsys.readouterr().out.splitlines()[-1]


def test_a_row_as_json_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    kept = row(1, 5)
    show_histories([History(kept, steps_done(kept, (TrailStep("length"),)), None, {"text": "a"}, "gone")], as_json=True)
    (said,) = json.loads(capsys.readouterr().out)
    assert said == {
        "id": "id1",
        "source": "data/raw/a.jsonl:1",
        "content": f"{5:032x}",
        "side": "train",
        "steps": [{"step": "read", "did": "kept"}, {"step": "length", "did": "kept"}],
        "before": None,
        "after": {"text": "a"},
        "note": "gone",
    }


def test_a_row_that_a_model_wrote_says_which_and_from_what(capsys: pytest.CaptureFixture[str]) -> None:
    kept = row(1, 5)
    seeds = (Seed(source="data/raw/own.jsonl:3", content="0" * 32),)
    made = Synthetic(kind="new", model=HOSTILE, date="2026-11-30", seeds=seeds)
    history = History(kept, steps_done(kept, (TrailStep("length"),)), {"text": "a"}, {"text": "a"}, made=made)
    show_histories([history], as_json=False)
    said = capsys.readouterr().out
    assert "by the model [red]PROMOTE[/red] ⟨U+001B⟩" in said
    assert "(new) on 2026-11-30, from data/raw/own.jsonl:3" in said
    show_histories([history], as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["synthetic"]["seeds"][0]["source"] == "data/raw/own.jsonl:3"


def test_a_comparison_has_counts_by_source_and_reason_and_the_first_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = version(tmp_path, "v1", [row(1, 1), row(2, 2), row(3, 3, "dev")])
    after = version(
        tmp_path, "v2", [row(1, 1), row(2, 7), row(4, 9, "", (Event("duplicates", "dropped", "duplicate"),)), row(5, 3)]
    )
    show_diff(compare(before, after), 10, as_json=False)
    said = capsys.readouterr().out
    assert "before  v1: 3 rows read" in said
    assert "1 new, 0 gone, 1 with other content under the same id" in " ".join(said.split())
    told = [line.split() for line in said.splitlines()]
    assert ["data/raw/a.jsonl", "1", "0", "1", "1"] in told
    assert ["left", "out:", "duplicate", "0", "1", "+1"] in told
    assert "dev -> train" in said
    show_diff(compare(before, after), 1, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["trained"] == {"came": 1, "went": 0, "other": 1}
    assert told["rows"]["changed"] == {
        "count": 1,
        "first": [{"id": "id2", "source": "data/raw/a.jsonl:2", "before": "train", "after": "train"}],
    }
    show_diff(compare(before, before), 10, as_json=False)
    assert "no row differs" in capsys.readouterr().out


PROOF = Proof(
    when="2026-11-30T10:00:00+00:00",
    by="me",
    why="request 7",
    contents=(f"{1:032x}",),
    sources=("data/raw/a.jsonl:3",),
    versions=(
        SeenVersion(
            trail_md5="a" * 32, commits=("c" * 40,), methods=("full", "lora"), num_trained=1, num_dev=0, num_left_out=2
        ),
    ),
    models=(
        SeenModel(
            method="lora",
            identity="e" * 64,
            decision_id="d" * 64,
            verdict="PROMOTE",
            recorded_at="2026-11-29T10:00:00+00:00",
            was_promoted=True,
            is_champion=True,
            num_trained=1,
        ),
    ),
    unknown=("the data of abc was prepared before rows' histories were kept",),
)


def test_who_saw_a_forgotten_row_and_what_is_next_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    found = Found(frozenset(PROOF.contents), PROOF.sources, ("data/raw/a.jsonl:9",))
    show_forgotten(PROOF, found, Path("registry/forgotten/x.json"), as_json=False)
    said = capsys.readouterr().out
    for expected in (
        "1 row forgotten",
        "cccccccccccc",
        "full, lora",
        "the champion",
        "not looked at: the data of abc",
        "--alike forgets them too",
        "still in the sources: data/raw/a.jsonl:3",
        "proof: registry/forgotten/x.json",
        "next: `ratchet stage prepare`",
    ):
        assert expected in said
    show_forgotten(PROOF, found, None, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "1 row would be forgotten; nothing was written" in said
    assert "the list would keep it out of the data" in said
    twice = PROOF.model_copy(update={"sources": ("data/raw/a.jsonl:3", "data/raw/b.jsonl:4")})
    show_forgotten(twice, found, None, as_json=False)
    assert "1 row (of 2 rows in the sources that say the same) would be forgotten" in " ".join(
        capsys.readouterr().out.split()
    )


def test_proofs_say_whether_the_present_data_is_rid_of_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    gone = Gone(when="2026-12-01T00:00:00+00:00", trail_md5="", train_sha256="", dev_sha256="")
    show_proofs({Path("a"): PROOF, Path("b"): PROOF.model_copy(update={"gone": gone})}, as_json=False)
    said = capsys.readouterr().out
    assert "not yet" in said
    assert "since 2026-12-01" in said
    assert "champion eeeeeeeeeeeeeeee" in said
    assert "`ratchet stage prepare` leaves them out" in said
    show_proofs({}, as_json=False)
    assert "nothing was forgotten" in capsys.readouterr().out


@pytest.mark.parametrize(("row", "match"), [(None, None), ("a", "b")])
def test_a_row_or_a_text_is_named_and_not_both(row: str | None, match: str | None) -> None:
    with pytest.raises(UsageError, match="name one"):
        data_forget(row, match)
