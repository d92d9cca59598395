"""Drift against values worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.data_page.drift import Counts, divergence, drift_of

histograms = st.dictionaries(st.sampled_from(["32", "64", "128", "more"]), st.integers(1, 10**6), min_size=1)


def test_histograms_that_share_nothing_differ_by_one_bit_and_equal_ones_by_none() -> None:
    assert divergence({"32": 5}, {"64": 9}) == pytest.approx(1.0)
    assert divergence({"32": 5, "64": 5}, {"32": 50, "64": 50}) == pytest.approx(0.0, abs=1e-12)


def test_a_divergence_is_that_of_its_definition() -> None:
    # Entropy of (3/4, 1/4) less half of that of (1/2, 1/2).
    entropy = -0.75 * math.log2(0.75) - 0.25 * math.log2(0.25)
    assert divergence({"32": 1, "64": 1}, {"32": 8}) == pytest.approx(entropy - 0.5)


@given(histograms, histograms)
def test_a_divergence_is_symmetric_and_between_none_and_one_bit(one: dict[str, int], other: dict[str, int]) -> None:
    found = divergence(one, other)
    assert -1e-9 <= found <= 1.0 + 1e-9
    assert found == pytest.approx(divergence(other, one), abs=1e-9)


def test_counts_sources_and_lengths_are_compared() -> None:
    side = {"rows": 8, "tokens": 80, "histogram_up_to_tokens": {"32": 8}}
    before = Counts.model_validate({"sources": {"a": "1", "b": "2"}, "rows_read": 10, "splits": {"train": side}})
    after = Counts.model_validate(
        {
            "sources": {"b": "3", "c": "4"},
            "rows_read": 12,
            "dropped": {"duplicate": {"count": 2}},
            "splits": {"train": {**side, "rows": 10}},
        }
    )
    found = drift_of("champ", before, after)
    assert found.sources == (("a", "removed"), ("b", "changed"), ("c", "added"))
    changes = {each.name: (each.before, each.after, each.percent) for each in found.changes}
    assert changes["rows read"] == (10, 12, 20.0)
    assert changes["dropped: duplicate"] == (None, 2, None)
    assert found.divergence == pytest.approx(0.0, abs=1e-12)


def test_a_champion_of_an_earlier_version_has_no_lengths_to_compare() -> None:
    before = Counts.model_validate({"rows_read": 1, "splits": {"train": {"rows": 1, "tokens": 1}}})
    assert drift_of("champ", before, before).divergence is None
