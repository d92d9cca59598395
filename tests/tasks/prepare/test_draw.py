"""Which rows max_rows draws."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.config.train import Answers
from tasks.data.formats import Row, read_rows
from tasks.paths import ArtifactPaths
from tasks.prepare.draw import draw, shares, within_caps
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.order import chosen_steps
from tasks.prepare.standard import MaxRows
from tasks.prepare.steps import StepInputs


def kept_of(root: Path, counts: dict[str, int], params: PrepareParams) -> Counter[str]:
    """Rows of each file that the step keeps."""
    (root / "data/raw").mkdir(parents=True, exist_ok=True)
    rows = []
    for name, count in counts.items():
        path = root / "data/raw" / name
        path.write_text("".join(json.dumps({"prompt": f"{name} {n}", "completion": "a"}) + "\n" for n in range(count)))
        rows += [row for row in read_rows(path, f"data/raw/{name}") if isinstance(row, Row)]
    given = StepInputs(params, ArtifactPaths(root), TokenLengths(root, 8, Answers.ALL))
    outcome = MaxRows().run(rows, given)
    assert len(outcome.kept) + len(outcome.dropped) == len(rows)
    order = [row.source for row in rows]
    assert [order.index(row.source) for row in outcome.kept] == sorted(order.index(row.source) for row in outcome.kept)
    return Counter(row.source.rpartition(":")[0].removeprefix("data/raw/") for row in outcome.kept)


def test_weights_share_out_the_rows_and_an_entry_that_is_short_gives_all(tmp_path: Path) -> None:
    sources = ({"path": "data/raw/a.jsonl", "weight": 3.0}, "data/raw/b.jsonl")
    params = PrepareParams.model_validate({"sources": sources, "max_rows": 40})
    assert kept_of(tmp_path, {"a.jsonl": 100, "b.jsonl": 100}, params) == {"a.jsonl": 30, "b.jsonl": 10}
    assert kept_of(tmp_path, {"a.jsonl": 20, "b.jsonl": 100}, params) == {"a.jsonl": 20, "b.jsonl": 20}
    assert kept_of(tmp_path, {"a.jsonl": 20, "b.jsonl": 5}, params) == {"a.jsonl": 20, "b.jsonl": 5}


def test_a_cap_counts_for_all_files_of_its_entry_and_before_the_weights(tmp_path: Path) -> None:
    sources = ({"path": "data/raw/a*", "max_rows": 7}, "data/raw/b.jsonl")
    capped = PrepareParams.model_validate({"sources": sources})
    counts = {"a1.jsonl": 50, "a2.jsonl": 50, "b.jsonl": 5}
    found = kept_of(tmp_path, counts, capped)
    assert (found["a1.jsonl"] + found["a2.jsonl"], found["b.jsonl"]) == (7, 5)
    assert found == kept_of(tmp_path, counts, capped)
    assert kept_of(tmp_path, counts, capped.model_copy(update={"max_rows": 10})).total() == 10


def test_without_weights_the_draw_is_the_one_that_it_always_was() -> None:
    import random

    expected = random.Random(7).sample(range(100), 12)  # noqa: S311
    assert draw(range(100), [0] * 50 + [1] * 50, [None, None], 12, 7) == expected


def test_a_weight_without_max_rows_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"the weight of data/raw/a has no effect: .* set prepare.max_rows"):
        PrepareParams.model_validate({"sources": [{"path": "data/raw/a", "weight": 2.0}]})


def test_a_cap_without_its_step_is_refused() -> None:
    params = PrepareParams.model_validate(
        {"sources": [{"path": "data/raw/a", "max_rows": 2}], "steps": ["duplicates", "held_out", "length"]}
    )
    with pytest.raises(UsageError, match=r"max_rows of a source has no effect: prepare.steps leaves max_rows out"):
        chosen_steps(params)


WEIGHTED = st.lists(st.tuples(st.integers(0, 60), st.floats(0.01, 100)), min_size=1, max_size=6)


@given(WEIGHTED, st.integers(0, 200))
def test_shares_are_exact_and_none_is_more_than_there_is(entries: list[tuple[int, float]], limit: int) -> None:
    there, weights = [count for count, _ in entries], [weight for _, weight in entries]
    given_out = shares(there, weights, limit)
    assert sum(given_out) == min(limit, sum(there))
    assert all(0 <= given_one <= count for given_one, count in zip(given_out, there, strict=True))
    if all(count >= limit for count in there):
        for given_one, weight in zip(given_out, weights, strict=True):
            assert abs(given_one - limit * weight / sum(weights)) < 1 + 1e-6


@given(st.lists(st.integers(0, 2), max_size=40), st.lists(st.none() | st.integers(1, 10), min_size=3, max_size=3))
def test_caps_leave_rows_in_their_order(entries: list[int], caps: list[int | None]) -> None:
    left = within_caps(entries, caps, 3)
    assert left == sorted(set(left))
    counts, all_counts = Counter(entries[at] for at in left), Counter(entries)
    for entry, cap in enumerate(caps):
        assert counts[entry] == (all_counts[entry] if cap is None else min(cap, all_counts[entry]))
