"""The order in which an epoch visits the rows: a function of seed and epoch alone, whatever the number of processes."""

from collections.abc import Iterator, Sequence

from tasks.objectives.documents import IGNORED, Example


class EpochOrder:
    """A sampler for PyTorch's DataLoader.

    One process and several visit the same rows in the same optimizer steps, and a training that goes on within an epoch
    visits the rows that are left. Where the rows do not fill the last round of micro-batches, rows without loss do:
    accelerate would repeat the first rows of the epoch instead, which changes the loss.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        seed: int,
        batch_size: int,
        by_length: bool,
        round_size: int,
        micro_batch_size: int = 1,
    ) -> None:
        """Plan the epochs.

        Args:
            lengths: Tokens of each row, without those that fill up.
            seed: Of the order.
            batch_size: Rows of an optimizer step.
            by_length: Put rows of like length into one step (random among steps), for micro-batches that are padded;
                else the rows of a step are dealt so that its micro-batches have about equal tokens.
            round_size: Rows that all processes together take at once; 1 leaves the last round as it is.
            micro_batch_size: Rows of a forward pass.
        """
        self.epoch = 0
        self._lengths, self._seed, self._by_length = lengths, seed, by_length
        self._batch_size, self._micro_batch_size = batch_size, micro_batch_size
        self.num_fillers = -len(lengths) % round_size

    def __len__(self) -> int:
        """Rows of an epoch, those that fill up included."""
        return len(self._lengths) + self.num_fillers

    def __iter__(self) -> Iterator[int]:
        """Row numbers; the fillers follow the real rows."""
        import torch

        generator = torch.Generator()
        generator.manual_seed(self._seed + self.epoch)
        if self._by_length:
            from transformers.trainer_pt_utils import get_length_grouped_indices

            yield from get_length_grouped_indices(list(self._lengths), self._batch_size, generator=generator)
        else:
            rows = torch.randperm(len(self._lengths), generator=generator).tolist()
            for begin in range(0, len(rows), self._batch_size):
                step = rows[begin : begin + self._batch_size]
                yield from balanced(step, self._lengths, self._micro_batch_size)
        yield from range(len(self._lengths), len(self))


def balanced(rows: Sequence[int], lengths: Sequence[int], size: int) -> list[int]:
    """The rows of one step in micro-batches of ``size`` rows (the last may have fewer) with about equal tokens.

    Longest first, each into the micro-batch with the fewest tokens that has room. The longest micro-batch sets the peak
    of memory, and all processes wait for the slowest.
    """
    groups: list[list[int]] = [[] for _ in range(0, len(rows), size)]
    room = [size] * (len(groups) - 1) + [len(rows) - size * (len(groups) - 1)]
    for row in sorted(rows, key=lambda row: lengths[row], reverse=True):
        open_groups = [group for group, most in zip(groups, room, strict=True) if len(group) < most]
        min(open_groups, key=lambda group: sum(lengths[each] for each in group)).append(row)
    return [row for group in groups for row in group]


def filler(example: Example) -> Example:
    """A row that costs next to nothing and carries no loss."""
    ids = example.input_ids[:2]
    return Example(ids, [IGNORED] * len(ids))
