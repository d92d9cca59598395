"""No group on both sides."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.prepare.splits import dev_groups

GROUPS = st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=60).filter(lambda names: len(set(names)) > 1)


@settings(deadline=None, max_examples=100)
@given(GROUPS, st.floats(0.01, 0.49), st.integers(0, 5))
def test_both_sides_have_groups_and_share_none(groups: list[str], fraction: float, seed: int) -> None:
    dev = dev_groups(groups, fraction, seed)
    assert dev
    assert set(groups) - dev


@settings(deadline=None, max_examples=50)
@given(GROUPS, st.integers(0, 5))
def test_the_order_of_rows_does_not_matter(groups: list[str], seed: int) -> None:
    assert dev_groups(groups, 0.2, seed) == dev_groups(groups[::-1], 0.2, seed)


def test_new_groups_do_not_move_old_ones() -> None:
    old = [f"g{number}" for number in range(200)]
    before = dev_groups(old, 0.1, 0)
    after = dev_groups([*old, *(f"h{number}" for number in range(200))], 0.1, 0)
    assert before == {name for name in after if name.startswith("g")}
    assert 10 <= len(before) <= 32


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="1 group: at least 2"):
        dev_groups(["a", "a"], 0.1, 0)
