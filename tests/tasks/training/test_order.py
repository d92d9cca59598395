"""The rows of an epoch, for one process and for several."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.training.order import EpochOrder


def order(rows: int, epoch: int, by_length: bool, round_size: int) -> list[int]:
    made = EpochOrder(
        [1 + n % 7 for n in range(rows)], seed=3, batch_size=4, by_length=by_length, round_size=round_size
    )
    made.epoch = epoch
    return list(made)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(0, 5), st.booleans(), st.sampled_from([1, 2, 4]))
def test_several_processes_visit_every_row_once_in_the_order_of_one_and_fill_the_last_round(
    rows: int, epoch: int, by_length: bool, round_size: int
) -> None:
    one, several = order(rows, epoch, by_length, 1), order(rows, epoch, by_length, round_size)
    assert sorted(one) == list(range(rows))
    assert several[:rows] == one
    assert several[rows:] == list(range(rows, rows + -rows % round_size))


def test_the_order_is_the_one_that_accelerate_draws_for_a_seed_and_an_epoch() -> None:
    from accelerate.data_loader import SeedableRandomSampler

    theirs = SeedableRandomSampler(range(20), data_seed=3)
    for epoch in range(3):
        theirs.set_epoch(epoch)
        assert order(20, epoch, False, 1) == list(theirs)


def test_rows_of_like_length_share_a_step() -> None:
    def spread(by_length: bool) -> int:
        lengths = [1 + row % 7 for row in order(400, 0, by_length, 1)]
        return sum(max(step) - min(step) for step in (lengths[n : n + 4] for n in range(0, 400, 4)))

    assert 4 * spread(True) < spread(False)
