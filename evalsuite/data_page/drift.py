"""How the rows differ from those that the champion was trained on: counts, sources, and how long rows are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

MORE = "more"
"""The open bin of a histogram."""


class _Counts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class SideCounts(_Counts):
    """One side of the split in report.json."""

    rows: int
    tokens: int
    histogram_up_to_tokens: dict[str, int] = {}


class ReasonCount(_Counts):
    """Rows that were dropped for one reason."""

    count: int


class Counts(_Counts):
    """The part of data/prepared/report.json that a decision keeps (``evalsuite.gate.replay.DataCounts``)."""

    sources: dict[str, str] = {}
    rows_read: int
    bad_rows: ReasonCount = ReasonCount(count=0)
    dropped: dict[str, ReasonCount] = {}
    splits: dict[str, SideCounts]


@dataclass(frozen=True)
class Change:
    """One count on both sides; None where a side has none."""

    name: str
    before: int | None
    after: int | None

    @property
    def percent(self) -> float | None:
        """Change in percent of the champion's; None where it had none."""
        if not self.before or self.after is None:
            return None
        return 100.0 * (self.after - self.before) / self.before


@dataclass(frozen=True)
class Drift:
    """The rows now against those of the champion."""

    champion: str
    """Its identity, shortened."""
    changes: tuple[Change, ...]
    """Counts, those that are equal too."""
    sources: tuple[tuple[str, Literal["added", "removed", "changed"]], ...]
    before: Mapping[str, int]
    """Histogram of train rows; empty where the champion's run kept none."""
    after: Mapping[str, int]
    divergence: float | None
    """Jensen-Shannon divergence of the two histograms in bits: 0 where they are alike, 1 where they share nothing."""


def drift_of(champion: str, before: Counts, after: Counts) -> Drift:
    """Compare the counts of two versions of the data."""
    sides = [side.splits.get("train") for side in (before, after)]
    old, new = (side.histogram_up_to_tokens if side else {} for side in sides)
    return Drift(
        champion=champion,
        changes=tuple(_changes(_named(before), _named(after))),
        sources=tuple(_sources(before.sources, after.sources)),
        before=old,
        after=new,
        divergence=divergence(old, new) if old and new else None,
    )


def divergence(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Jensen-Shannon divergence of two histograms in bits, 0 to 1 (Lin 1991, IEEE Trans. Information Theory 37)."""
    from scipy.spatial.distance import jensenshannon

    bins = sorted({*one, *other})
    p, q = [float(one.get(name, 0)) for name in bins], [float(other.get(name, 0)) for name in bins]
    distance = float(jensenshannon(p, q, base=2.0))  # the root of the divergence
    return distance * distance


def _named(counts: Counts) -> dict[str, int]:
    named = {"rows read": counts.rows_read, "bad rows": counts.bad_rows.count}
    for side, each in counts.splits.items():
        named |= {f"{side} rows": each.rows, f"{side} tokens": each.tokens}
    return named | {f"dropped: {reason}": each.count for reason, each in sorted(counts.dropped.items())}


def _changes(before: Mapping[str, int], after: Mapping[str, int]) -> list[Change]:
    names = [*after, *(name for name in before if name not in after)]
    return [Change(name, before.get(name), after.get(name)) for name in names]


def _sources(
    before: Mapping[str, str], after: Mapping[str, str]
) -> list[tuple[str, Literal["added", "removed", "changed"]]]:
    found: list[tuple[str, Literal["added", "removed", "changed"]]] = []
    for name in sorted({*before, *after}):
        if name not in before:
            found.append((name, "added"))
        elif name not in after:
            found.append((name, "removed"))
        elif before[name] != after[name]:
            found.append((name, "changed"))
    return found
