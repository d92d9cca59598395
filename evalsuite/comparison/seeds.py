"""One method trained with several seeds: which of them is compared, and how far they lie apart.

Two chances move a score: which items were asked, and which seed trained the weights. Intervals over items are about the
weights that would ship. What another seed would have given is no part of them, and is told beside them.
"""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from evalsuite.comparison.rows import MethodChoice, MethodRow, SeedRow, SeedSet


class Seeded(NamedTuple):
    """What is known of such methods before a test item is looked at."""

    seeds: Mapping[str, int]
    """Method -> its seed."""
    dev: Mapping[str, float]
    """Method -> the golden dev metric of its selected epoch."""
    dev_metric: str
    higher_is_better: bool

    @property
    def representative(self) -> str:
        """The best on dev items, of equal ones the first; test items have no say, so nothing is paid for it."""
        sign = 1.0 if self.higher_is_better else -1.0
        return max(self.dev, key=lambda name: sign * self.dev[name])


def seed_set(seeded: Seeded, rows: Sequence[MethodRow]) -> SeedSet:
    """Put the seeds of one method together."""
    mine = [row for row in rows if row.name in seeded.seeds]
    shown = ", ".join(f"{name} {value:.3f}" for name, value in seeded.dev.items())
    return SeedSet(
        name=common_name(list(seeded.seeds)),
        members=tuple(seeded.seeds),
        seeds=tuple(seeded.seeds.values()),
        representative=seeded.representative,
        because=f"best golden dev {seeded.dev_metric}: {shown}",
        metrics=tuple(_spread(mine)),
    )


def _spread(rows: Sequence[MethodRow]) -> list[SeedRow]:
    found = []
    for metric in rows[0].metrics:
        cells = [row.metric(metric.suite, metric.metric) for row in rows]
        means = [cell.mean for cell in cells if cell is not None and cell.mean is not None]
        # Means over other items lie apart for another reason than the seed.
        if len(means) < len(rows) or len({cell.n for cell in cells if cell is not None}) > 1:
            continue
        found.append(
            SeedRow(
                suite=metric.suite,
                metric=metric.metric,
                mean=statistics.fmean(means),
                sd=statistics.stdev(means),
                lowest=min(means),
                highest=max(means),
            )
        )
    return found


def common_name(names: Sequence[str]) -> str:
    """What the names share at their beginning, without a number that is cut off; all of them where that is nothing."""
    columns = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    shared = "".join(letters[0] for letters in columns).rstrip("-_0123456789")
    return shared or ", ".join(names)


def told(sets: Sequence[SeedSet], choice: MethodChoice) -> list[str]:
    """What the seeds of each set say on the metric of the choice."""
    notes = []
    for found in sets:
        row = found.metric(choice.suite, choice.metric)
        seeds = ", ".join(str(seed) for seed in found.seeds)
        lead = f"{found.representative} stands for {found.name} (seeds {seeds}) by {found.because}"
        if row is None:
            notes.append(lead)
            continue
        notes.append(
            f"{lead}; over its seeds {choice.suite}/{choice.metric} is {row.mean:.3f}, SD {row.sd:.3f}, from "
            f"{row.lowest:.3f} to {row.highest:.3f}"
        )
    return notes


def open_orders(sets: Sequence[SeedSet], rows: Sequence[MethodRow], choice: MethodChoice) -> list[str]:
    """Pairs of methods whose ranges over seeds overlap: another seed may turn their order.

    Args:
        sets: Methods with several seeds.
        rows: The methods that entered the comparison.
        choice: The metric.
    """
    ranges: dict[str, tuple[float, float]] = {}
    several = {found.representative: found for found in sets}
    for row in rows:
        own = several.get(row.name)
        spread = own.metric(choice.suite, choice.metric) if own else None
        cell = row.metric(choice.suite, choice.metric)
        if own and spread:
            ranges[own.name] = spread.lowest, spread.highest
        elif not own and cell is not None and cell.mean is not None:
            ranges[row.name] = cell.mean, cell.mean
    names = {found.name for found in sets}
    return [
        f"{one} and {other} overlap over seeds ({_range(ranges[one])} and {_range(ranges[other])}): another seed may "
        "turn their order"
        for one, other in itertools.combinations(ranges, 2)
        if {one, other} & names and ranges[one][0] <= ranges[other][1] and ranges[other][0] <= ranges[one][1]
    ]


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3f}" if ends[0] == ends[1] else f"{ends[0]:.3f} to {ends[1]:.3f}"
