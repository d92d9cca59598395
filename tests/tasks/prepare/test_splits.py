"""No group and no near-duplicates on both sides, and nothing that moves when rows are added."""

from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams, SplitParams
from tasks.config.train import Answers
from tasks.data.formats import Row
from tasks.objectives.sft import Sft
from tasks.paths import ArtifactPaths
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.record.content_hash import content_hash
from tasks.prepare.rows import content
from tasks.prepare.scale.stored import Rows
from tasks.prepare.splits import LEFT_OUT, Split, dev_groups, group_key, is_drawn, split
from tasks.prepare.steps import StepInputs
from tests.tasks.prepare.alike.real_texts import bitext, needs_texts, similar_pairs

GROUPS = st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=60).filter(lambda names: len(set(names)) > 1)


def drawn_of(names: list[str], fraction: float, seed: int) -> set[str]:
    """Names of the dev groups."""
    held = dev_groups([group_key(name, seed) for name in names], fraction)
    return {name for name in names if group_key(name, seed) in held}


@settings(deadline=None, max_examples=100)
@given(GROUPS, st.floats(0.01, 0.49), st.integers(0, 5))
def test_both_sides_have_groups_and_share_none(groups: list[str], fraction: float, seed: int) -> None:
    dev = drawn_of(groups, fraction, seed)
    assert dev
    assert set(groups) - dev


@settings(deadline=None, max_examples=50)
@given(GROUPS, st.integers(0, 5))
def test_the_order_of_rows_does_not_matter(groups: list[str], seed: int) -> None:
    assert drawn_of(groups, 0.2, seed) == drawn_of(groups[::-1], 0.2, seed)


def test_new_groups_do_not_move_old_ones() -> None:
    old = [f"g{number}" for number in range(200)]
    before = drawn_of(old, 0.1, 0)
    after = drawn_of([*old, *(f"h{number}" for number in range(200))], 0.1, 0)
    assert before == {name for name in after if name.startswith("g")}
    assert 10 <= len(before) <= 32


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="1 group: at least 2"):
        dev_groups([group_key("a", 0)] * 2, 0.1)


def rows_of(texts: list[str], **fields: list[Any]) -> list[Row]:
    turns = [({"role": "user", "content": text}, {"role": "assistant", "content": "a"}) for text in texts]
    return [
        Row(f"f:{at}", str(at), "chat", said, {key: values[at] for key, values in fields.items()})
        for at, said in enumerate(turns)
    ]


def put(rows: list[Row], group_by: str | None = None, fraction: float = 0.3, seed: int = 0, **settings: Any) -> Split:
    params = PrepareParams(
        sources=("f",), group_by=group_by, dev_fraction=fraction, seed=seed, split=SplitParams(**settings)
    )
    given = StepInputs(params, ArtifactPaths(), TokenLengths(Path("nowhere"), 1024, Answers.ALL))
    return split(Rows.of(rows), [[1]] * len(rows), given)


def sides_of(found: Split) -> dict[str, str]:
    """Row -> its side, or that it was left out."""
    placed = {row.source: name for name, side in found.sides.items() for row in side.rows}
    return placed | {note.source: "left out" for note in found.left_out}


def grams(text: str) -> set[str]:
    return {text[at : at + 5] for at in range(max(1, len(text) - 4))}


WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=9).map(" ".join)
GROUPED = st.lists(st.tuples(WORDS, st.integers(0, 12)), min_size=2, max_size=40)


@settings(max_examples=60)
@given(GROUPED, st.integers(0, 5), st.integers(1, 40))
def test_no_group_and_no_similar_rows_are_on_both_sides_and_added_rows_move_none(
    given_rows: list[tuple[str, int]], seed: int, cut: int
) -> None:
    # With so many groups, no seed here puts all on one side and has to move one.
    texts = [*(f"{number * 7919} " * 2 for number in range(40)), *(text for text, _ in given_rows)]
    groups = [*(f"x{number}" for number in range(40)), *(f"g{group}" for _, group in given_rows)]
    rows, cut = rows_of(texts, group=groups), cut + 40
    whole = put(rows, "group", seed=seed, near_duplicates=0.6)
    sides = sides_of(whole)
    assert len(sides) == len(rows)
    for name in ("train", "dev"):
        for row in whole.sides[name].rows:
            for other in whole.sides["dev" if name == "train" else "train"].rows:
                assert row.fields["group"] != other.fields["group"]
                one, two = grams(row.messages[0]["content"]), grams(other.messages[0]["content"])
                assert len(one & two) / len(one | two) < 0.6
    assert {source: side for source, side in sides.items() if int(source[2:]) < cut} == sides_of(
        put(rows[:cut], "group", seed=seed, near_duplicates=0.6)
    )


def test_a_row_that_joins_two_clusters_on_two_sides_is_left_out_with_both_places() -> None:
    one, other = "abcdefghijklmnopqrst", "ABCDEFGHIJ0123456789"
    texts = [one, other.lower()[:10] + other[10:], one + other.lower()[:10] + other[10:]]
    groups = [f"g{number}" for number in range(40)]
    held = drawn_of(groups, 0.3, 0)
    train, dev = next(group for group in groups if group not in held), next(group for group in groups if group in held)
    rows = rows_of(texts, group=[train, dev, "new"])
    found = put(
        [*rows, *rows_of([sha256(group.encode()).hexdigest() for group in groups], group=groups)],
        "group",
        near_duplicates=0.35,
    )
    (note,) = found.left_out
    assert (note.source, note.reason, note.other) == ("f:2", LEFT_OUT, "f:1")
    assert note.detail.startswith("train for its likeness (0.")
    assert "to f:0; dev for its likeness (0." in note.detail
    assert note.detail.endswith("to f:1")


@needs_texts
def test_on_real_texts_hardly_a_similar_pair_is_on_both_sides_and_hardly_a_row_is_left_out() -> None:
    texts = bitext(1500)
    found = put(rows_of(texts), fraction=0.1, near_duplicates=0.8)
    sides = sides_of(found)
    ones, others = similar_pairs(texts, 0.8)
    pairs = Counter(
        frozenset((sides[f"f:{one}"], sides[f"f:{other}"])) for one, other in zip(ones, others, strict=True)
    )
    assert pairs[frozenset(("train", "dev"))] <= 0.02 * len(ones)
    assert len(found.left_out) < 0.1 * len(texts)
    plain = Counter(
        frozenset((sides[f"f:{one}"], sides[f"f:{other}"]))
        for sides in [sides_of(put(rows_of(texts), fraction=0.1))]
        for one, other in zip(ones, others, strict=True)
    )
    assert plain[frozenset(("train", "dev"))] > 0.1 * len(ones)


@given(st.integers(0, 400), st.floats(0.01, 0.49), st.text(max_size=3), st.integers(0, 3))
def test_of_the_first_groups_of_a_stratum_its_share_goes_to_dev_give_or_take_one(
    count: int, fraction: float, stratum: str, seed: int
) -> None:
    drawn = sum(is_drawn(number, stratum, fraction, seed) for number in range(count))
    assert abs(drawn - count * fraction) <= 1


def test_each_value_of_a_key_has_its_share_of_dev_rows_and_added_rows_move_none() -> None:
    kinds = ["rare" if number % 20 == 0 else "common" for number in range(1000)]
    rows = rows_of([f"question {number}" for number in range(1000)], kind=kinds)
    found = put(rows, fraction=0.1, stratify_by="kind")
    shares = Counter(row.fields["kind"] for row in found.sides["dev"].rows)
    assert abs(shares["rare"] - 5) <= 1
    assert abs(shares["common"] - 95) <= 1
    before = sides_of(put(rows[:500], fraction=0.1, stratify_by="kind"))
    after = sides_of(found)
    assert before == {source: side for source, side in after.items() if source in before}
    assert sides_of(put(rows, fraction=0.1, seed=1, stratify_by="kind")) != after


DAYS = [f"2026-03-{day:02}" for day in (5, 1, 9, 3, 7, 2, 8, 4, 10, 6)]


def test_the_newest_rows_are_dev_rows() -> None:
    rows = rows_of([f"question {day}" for day in DAYS], day=DAYS)
    found = put(rows, fraction=0.3, by="date", field="day")
    assert [row.fields["day"] for row in found.sides["dev"].rows] == ["2026-03-09", "2026-03-08", "2026-03-10"]
    assert found.left_out == []
    cut = put(rows, by="date", field="day", dev_from="2026-03-10")
    assert [row.fields["day"] for row in cut.sides["dev"].rows] == ["2026-03-10"]


def test_rows_of_one_moment_stay_together_and_zones_and_seconds_are_understood() -> None:
    moments = ["2026-03-01T00:00:00Z", 1772323200, "2026-03-02T01:00:00+01:00", "2026-03-02"]
    found = put(rows_of(list("abcd"), at=moments), fraction=0.25, by="date", field="at")
    assert [row.source for row in found.sides["dev"].rows] == ["f:2", "f:3"]


def test_a_newer_row_that_repeats_an_old_one_is_left_out_of_dev() -> None:
    texts = [f"a question about the parcel of customer {number}" * 2 for number in range(9)]
    rows = rows_of([*texts, texts[0] + "x"], day=[f"2026-03-{day:02}" for day in range(1, 11)])
    found = put(rows, fraction=0.2, by="date", field="day", near_duplicates=0.99)
    assert sides_of(found)["f:9"] == "dev"
    found = put(rows, fraction=0.2, by="date", field="day", near_duplicates=0.95)
    assert sides_of(found)["f:9"] == "left out"


def test_dates_that_leave_a_side_empty_are_told_with_what_they_are() -> None:
    rows = rows_of(list("ab"), day=["2026-03-01", "2026-03-01"])
    with pytest.raises(UsageError, match=r"'day' is from 2026-03-01T00:00:00\+00:00 to 2026-03-01.*would be dev rows"):
        put(rows, by="date", field="day")


@settings(max_examples=40)
@given(st.lists(st.tuples(WORDS, st.integers(0, 8), st.integers(1, 28)), min_size=1, max_size=30), st.integers(1, 30))
def test_by_a_fixed_day_nothing_is_on_both_sides_and_rows_of_any_date_move_none(
    given_rows: list[tuple[str, int, int]], cut: int
) -> None:
    rows = rows_of(
        ["1234567", "7654321", *(text for text, _, _ in given_rows)],
        group=["old", "new", *(group for _, group, _ in given_rows)],
        day=["2026-02-01", "2026-02-28", *(f"2026-02-{day:02}" for _, _, day in given_rows)],
    )

    def sides(some: list[Row]) -> dict[str, str]:
        return sides_of(put(some, "group", by="date", field="day", dev_from="2026-02-15", near_duplicates=0.6))

    whole = sides(rows)
    assert {source: side for source, side in whole.items() if int(source[2:]) < cut + 2} == sides(rows[: cut + 2])
    for row in rows:
        new = row.fields["day"] >= "2026-02-15"
        assert whole[row.source] in ("left out", "dev" if new else "train")
    groups = {side: {row.fields["group"] for row in rows if whole[row.source] == side} for side in ("train", "dev")}
    assert groups["train"].isdisjoint(groups["dev"])


def written_from(seed: Row, at: int, source: str) -> Row:
    made_of = {"source": source, "content": content_hash(content(seed, Sft()))}
    mark = {"kind": "rewrite-question", "model": "big", "seeds": [made_of]}
    turns = ({"role": "user", "content": f"in other words {at}"}, {"role": "assistant", "content": "a"})
    return Row(f"w:{at}", f"w{at}", "chat", turns, {"synthetic": mark})


def test_what_a_model_rewrote_stays_beside_its_row_wherever_that_stands_now_and_beside_others_made_of_it() -> None:
    seeds = rows_of([f"q {at}" for at in range(60)])
    gone = seeds[0]._replace(messages=({"role": "user", "content": "gone"}, {"role": "assistant", "content": "b"}))
    moved = [written_from(row, at, f"f:{at + 1}") for at, row in enumerate(seeds[:30])]
    edited = [written_from(gone, at, row.source) for at, row in enumerate(seeds[:30], 30)]
    of_gone = [written_from(gone, at, "nowhere:1") for at in range(60, 70)]
    sides, _ = put([*seeds, *moved, *edited, *of_gone], fraction=0.4)
    side_of = {row.source: name for name, side in sides.items() for row in side.rows}
    assert {side_of[f"f:{at}"] for at in range(30)} == {"train", "dev"}
    for at in range(30):
        assert side_of[f"w:{at}"] == side_of[f"w:{at + 30}"] == side_of[f"f:{at}"]
    assert len({side_of[f"w:{at}"] for at in range(60, 70)}) == 1
