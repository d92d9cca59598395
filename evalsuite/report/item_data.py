"""The changed items as JSON for the page's script, in which no text of an item can end the script element."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, NamedTuple

from evalsuite.report.flips import Flip, FlipGroup, MetricChange
from evalsuite.report.text import clip, visible
from evalsuite.report.units import Units

PAGE_BYTES = 1_500_000
"""Size of the items in the report itself, so that a usual one stays under 3 MB."""
FILE_BYTES = 24_000_000
"""Size of the items in one side file; a browser opens it in about a second."""
MAX_REFERENCES = 3
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class ItemData:
    """Changed items as JSON."""

    json: str
    """An object with ``items``; fit to stand in a ``script`` element as it is."""
    first: int
    """Place of the first one among all, from 1; 0 where there is none."""
    num_items: int
    total: int
    """Changed items that there are."""

    @property
    def last(self) -> int:
        """Place of the last one among all."""
        return self.first + self.num_items - 1

    @property
    def left_out(self) -> int:
        """Changed items that are not among these."""
        return self.total - self.num_items


class _Encoded(NamedTuple):
    place: tuple[bool, int, int]
    """Fixed after broken; then the group's place, then the item's rank in it."""
    text: str


def worst_items(groups: Sequence[FlipGroup], units: Units, limit: int = PAGE_BYTES) -> ItemData:
    """As many items as fit into ``limit`` bytes: the first of every list, then the second of every list, and so on."""
    found: list[_Encoded] = []
    for item in filter(None, chain.from_iterable(zip_longest(*_lists(groups, units)))):
        limit -= len(item.text.encode())
        if limit < 0:
            break
        found.append(item)
    return _data([item.text for item in sorted(found)], 1, _total(groups))


def all_items(groups: Sequence[FlipGroup], units: Units, limit: int = FILE_BYTES) -> Iterator[ItemData]:
    """Every item, broken ones first, in parts of at most ``limit`` bytes; a larger single item is a part of its own."""
    part: list[str] = []
    first, size = 1, 0
    for item in chain.from_iterable(_lists(groups, units)):
        item_size = len(item.text.encode())
        if part and size + item_size > limit:
            yield _data(part, first, _total(groups))
            part, first, size = [], first + len(part), 0
        part.append(item.text)
        size += item_size
    yield _data(part, first, _total(groups))


def _data(texts: Sequence[str], first: int, total: int) -> ItemData:
    return ItemData('{"items":[' + ",\n".join(texts) + "]}", first if texts else 0, len(texts), total)


def _total(groups: Sequence[FlipGroup]) -> int:
    return sum(group.num_broken + group.num_fixed for group in groups)


def _lists(groups: Sequence[FlipGroup], units: Units) -> list[Iterator[_Encoded]]:
    """What broke in each group, then what was fixed in each."""
    broken = [_encoded(group.broken, group, units, (False, i)) for i, group in enumerate(groups)]
    return broken + [_encoded(group.fixed, group, units, (True, i)) for i, group in enumerate(groups)]


def _encoded(flips: Sequence[Flip], group: FlipGroup, units: Units, place: tuple[bool, int]) -> Iterator[_Encoded]:
    shared = {"suite": visible(group.suite), "against": group.against, "broken": not place[0]}
    for rank, flip in enumerate(flips):
        record = shared | _record(flip, group.suite, units)
        text = _JSON.encode(record)
        # Inside strings alone, where JSON reads the same character; so no text of a model can end the script element.
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        yield _Encoded((*place, rank), text)


def _record(flip: Flip, suite: str, units: Units) -> dict[str, Any]:
    item, other = flip.candidate, flip.baseline
    output, before = _shown(item.output), _shown(other.output)
    return {
        "id": visible(item.item_id),
        "must": bool(item.must_pass),
        "slices": {visible(key): visible(value) for key, value in item.slices.items()},
        "changes": [_change(change, suite, units) for change in flip.changes],
        "unscored": None if item.unscored is None else _shown(item.unscored),
        "prompt": _shown(item.prompt),
        "references": [_shown(reference) for reference in item.references[:MAX_REFERENCES]],
        "more_references": max(0, len(item.references) - MAX_REFERENCES),
        "output": output,
        "before": before,
        "differs_unseen": output == before and item.output != other.output,
    }


def _change(change: MetricChange, suite: str, units: Units) -> list[str | bool]:
    """Metric, score before, score after, whether that is worse."""
    values = (
        "unscored" if value is None else units.value(suite, change.metric, value)
        for value in (change.before, change.after)
    )
    return [visible(change.metric), *values, change.gain < 0]


def _shown(text: str) -> str:
    """As the page's text boxes show it."""
    return visible(clip(text))
