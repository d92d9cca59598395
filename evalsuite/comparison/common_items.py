"""Results of several models on the items that all of them have, where evaluations stopped at different items."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from evalsuite.items.results import SuiteResult, items_sha256

Suites = Mapping[str, SuiteResult]


def is_sequential(suites: Suites) -> bool:
    """Whether some suite could stop early."""
    return any(result.info.prefix is not None for result in suites.values())


def was_stopped(suites: Suites) -> bool:
    """Whether the evaluation ended because something was proven broken."""
    return any(result.info.prefix is not None and result.info.prefix.ended == "violation" for result in suites.values())


def num_run(suites: Suites) -> int:
    """Items of all suites."""
    return sum(len(result.items) for result in suites.values())


def on_common_items(methods: Sequence[Suites], baselines: Sequence[Suites]) -> tuple[list[Suites], list[Suites], str]:
    """Cut every suite that could stop early down to what all methods ran; other suites are left alone.

    Returns:
        The methods' and the baselines' suites, and how many items that left, in words.
    """
    common: dict[str, frozenset[str]] = {}
    told = []
    for suite in sorted({name for suites in methods for name in suites}):
        results = [suites[suite] for suites in methods if suite in suites]
        sizes = [result.info.prefix.num_items for result in results if result.info.prefix is not None]
        if sizes:
            common[suite] = frozenset.intersection(*(frozenset(item.item_id for item in r.items) for r in results))
            told.append(f"{len(common[suite]):,} of {sizes[0]:,} items of {suite}")
    note = f"compared on the items that all methods ran: {', '.join(told)}" if told else ""
    return [_cut(suites, common) for suites in methods], [_cut(suites, common) for suites in baselines], note


def _cut(suites: Suites, common: Mapping[str, frozenset[str]]) -> Suites:
    kept = dict(suites)
    for suite in common.keys() & suites.keys():
        result = suites[suite]
        items = tuple(sorted((i for i in result.items if i.item_id in common[suite]), key=lambda item: item.item_id))
        info = result.info.model_copy(update={"prefix": None, "items_sha256": items_sha256(items)})
        kept[suite] = replace(result, info=info, items=items)
    return kept
