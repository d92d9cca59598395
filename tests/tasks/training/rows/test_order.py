"""The rows of an epoch, for one process and for several."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.training.rows.order import EpochOrder, balanced


def order(rows: int, epoch: int, by_length: bool, round_size: int, micro_batch_size: int = 1) -> list[int]:
    made = EpochOrder([1 + n % 7 for n in range(rows)], 3, 4, by_length, round_size, micro_batch_size)
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


def test_the_rows_of_each_step_are_those_that_accelerate_draws_for_a_seed_and_an_epoch() -> None:
    from accelerate.data_loader import SeedableRandomSampler

    theirs = SeedableRandomSampler(range(22), data_seed=3)
    for epoch in range(3):
        theirs.set_epoch(epoch)
        drawn, visited = list(theirs), order(22, epoch, False, 1, micro_batch_size=2)
        for begin in range(0, 22, 4):
            assert sorted(visited[begin : begin + 4]) == sorted(drawn[begin : begin + 4])


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=32), st.sampled_from([1, 2, 4, 8]))
def test_micro_batches_of_a_step_have_about_equal_tokens(lengths: list[int], size: int) -> None:
    rows = balanced(range(len(lengths)), lengths, size)
    assert sorted(rows) == list(range(len(lengths)))
    full = [rows[begin : begin + size] for begin in range(0, len(rows) - size + 1, size)]
    tokens = [sum(lengths[row] for row in group) for group in full]
    if len(rows) % size == 0:
        assert max(tokens) - min(tokens) <= max(lengths)


def test_rows_of_like_length_share_a_step() -> None:
    def spread(by_length: bool) -> int:
        lengths = [1 + row % 7 for row in order(400, 0, by_length, 1)]
        return sum(max(step) - min(step) for step in (lengths[n : n + 4] for n in range(0, 400, 4)))

    assert 4 * spread(True) < spread(False)
