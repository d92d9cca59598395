"""Which rows came, went, changed, or were decided otherwise between two versions of the data."""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from tasks.lineage.versions import Version
from tasks.prepare.record.trail import READ, Trail, TrailRow

PLACE = re.compile(r"[:#]\d+\Z")


@dataclass(frozen=True)
class RowPair:
    """One row in both versions, or in one."""

    before: TrailRow | None
    after: TrailRow | None

    @property
    def source(self) -> str:
        """The file that it stands in, now or before."""
        row = self.after or self.before
        return PLACE.sub("", row.source) if row else ""


@dataclass(frozen=True)
class SourceCounts:
    """How many rows of one source differ."""

    source: str
    added: int
    removed: int
    changed: int
    decided: int


@dataclass(frozen=True)
class DataDiff:
    """Two versions of the data against each other, row by row."""

    before: Version
    after: Version
    added: tuple[RowPair, ...]
    removed: tuple[RowPair, ...]
    changed: tuple[RowPair, ...]
    """Rows of one id whose content differs."""
    decided: tuple[RowPair, ...]
    """Rows with the same content that ended elsewhere: on another side, dropped, or no longer dropped."""
    reasons: tuple[tuple[str, int, int], ...]
    """Where rows ended (a side, or why they were left out) -> rows before, after."""

    @property
    def sources(self) -> tuple[SourceCounts, ...]:
        """The same by source."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for name in ("added", "removed", "changed", "decided"):
            for pair in getattr(self, name):
                counts[pair.source][name] += 1
        return tuple(
            SourceCounts(source, each["added"], each["removed"], each["changed"], each["decided"])
            for source, each in sorted(counts.items())
        )

    @property
    def trained(self) -> tuple[int, int, int]:
        """Train rows that came, went, and are others under the same id."""
        came = went = other = 0
        for pair in (*self.added, *self.removed, *self.changed, *self.decided):
            before = pair.before is not None and pair.before.side == "train"
            after = pair.after is not None and pair.after.side == "train"
            came, went, other = came + (after and not before), went + (before and not after), other + (after and before)
        return came, went, other


def fate(row: TrailRow) -> str:
    """Where a row ended: a side, or why it is on neither."""
    last = row.events[-1] if row.events else None
    return _ended(row.side, last.step if last else None, last.reason if last else "")


def _ended(side: str | None, step: str | None, reason: str) -> str:
    if side:
        return side
    if step is None:
        return "on neither side"
    return f"{'bad' if step == READ else 'left out'}: {reason}"


def compare(before: Version, after: Version) -> DataDiff:
    """Match rows by content, then by id, so that a row which only stands on another line is the same row."""
    old, new = _Side(before.trail), _Side(after.trail)
    decided, changed = [], []
    for one, other in _same_content(old, new):
        if old.fates[one] != new.fates[other]:
            decided.append((one, other))
    for one, other in _same_id(old, new):
        if old.contents[one] == new.contents[other] == "" and old.fates[one] == new.fates[other]:
            continue  # a row that could be read neither then nor now
        changed.append((one, other))
    removed, added = old.left(), new.left()
    places = old.rows([*(one for one, _ in (*decided, *changed)), *removed])
    news = new.rows([*(other for _, other in (*decided, *changed)), *added])
    return DataDiff(
        before=before,
        after=after,
        added=tuple(RowPair(None, news[at]) for at in added),
        removed=tuple(RowPair(places[at], None) for at in removed),
        changed=tuple(RowPair(places[one], news[other]) for one, other in changed),
        decided=tuple(RowPair(places[one], news[other]) for one, other in decided),
        reasons=tuple(_reasons(old.fates, new.fates)),
    )


class _Side:
    """One version's columns, and which of its rows were matched."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail
        self.contents = trail.contents
        self.ids: list[str] = trail.ids.to_pylist()
        self.fates = _fates(trail)
        self.matched = bytearray(len(self.ids))

    def left(self) -> list[int]:
        """Rows that were not matched."""
        return [at for at, matched in enumerate(self.matched) if not matched]

    def rows(self, places: Sequence[int]) -> dict[int, TrailRow]:
        """Place -> row."""
        return dict(zip(places, self._trail.rows(places), strict=True))


def _fates(trail: Trail) -> list[str]:
    sides, events = trail.table["side"].to_pylist(), trail.table["events"].to_pylist()
    lasts = [(str(each[-1]["step"]), str(each[-1]["reason"])) if each else (None, "") for each in events]
    return [_ended(side, *last) for side, last in zip(sides, lasts, strict=True)]


def _same_content(old: _Side, new: _Side) -> Iterator[tuple[int, int]]:
    """Pairs of rows with one content, in their order: first those that ended alike, then the others."""
    for key in (_content_and_fate, _content):
        waiting: defaultdict[Hashable, deque[int]] = defaultdict(deque)
        for at in old.left():
            if old.contents[at]:
                waiting[key(old, at)].append(at)
        for at in new.left():
            if places := waiting.get(key(new, at)):
                one = places.popleft()
                old.matched[one] = new.matched[at] = 1
                yield one, at


def _content_and_fate(side: _Side, at: int) -> Hashable:
    return side.contents[at], side.fates[at]


def _content(side: _Side, at: int) -> Hashable:
    return side.contents[at]


def _same_id(old: _Side, new: _Side) -> Iterator[tuple[int, int]]:
    """Pairs of the remaining rows with one id."""
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    for at in old.left():
        waiting[old.ids[at]].append(at)
    for at in new.left():
        if places := waiting.get(new.ids[at]):
            one = places.popleft()
            old.matched[one] = new.matched[at] = 1
            yield one, at


def _reasons(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    before, after = Counter(old), Counter(new)
    sides = [name for name in ("train", "dev") if name in before or name in after]
    for name in [*sides, *sorted({*before, *after} - {"train", "dev"})]:
        yield name, before[name], after[name]
