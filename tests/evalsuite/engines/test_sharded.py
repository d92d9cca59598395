"""Work that is cut into parts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.engines.base import GenerationRequest
from evalsuite.engines.cache.answer_store import AnswerStore
from evalsuite.engines.cache.cached import CachedEngine
from evalsuite.engines.sharded import Shard, ShardEngine, members, parse_shard
from evalsuite.testing import FakeEngine


@given(st.lists(st.text(max_size=20), max_size=40), st.integers(1, 6))
def test_every_prompt_is_on_one_shard_and_equal_ones_on_the_same(prompts: list[str], count: int) -> None:
    parts = [members(prompts, Shard(index, count)) for index in range(count)]
    assert sorted(index for part in parts for index in part) == list(range(len(prompts)))
    texts = [{prompts[index] for index in part} for part in parts]
    assert sum(map(len, texts)) == len(set(prompts))


def test_parts_are_of_like_size() -> None:
    prompts = [f"{n:03}" + "x" * 97 for n in range(100)]
    assert [len(members(prompts, Shard(index, 4))) for index in range(4)] == [25] * 4


def test_after_all_shards_nothing_is_left_to_ask(tmp_path: Path) -> None:
    requests = [GenerationRequest(f"ask {n}") for n in range(11)]
    pairs = [(f"context {n}", " yes") for n in range(7)]
    for index in range(3):
        inner = FakeEngine(str.upper)
        engine = ShardEngine(CachedEngine(inner, AnswerStore(tmp_path, "fake")), Shard(index, 3))
        engine.generate(requests, "x")
        engine.loglikelihoods(pairs, "x")
        assert 0 < len(inner.prompts) < 18
    last = FakeEngine(str.upper)
    merged = CachedEngine(last, AnswerStore(tmp_path, "fake"))
    assert merged.generate(requests, "x") == FakeEngine(str.upper).generate(requests, "x")
    assert merged.loglikelihoods(pairs, "x") == FakeEngine(str.upper).loglikelihoods(pairs, "x")
    assert last.prompts == []


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected I/N"):
        parse_shard(text)
