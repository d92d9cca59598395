"""What a suite is."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from evalsuite.core.errors import UsageError
from evalsuite.engines.base import Engine, GenerationRequest
from evalsuite.items.results import ItemResult, SuiteInfo, SuiteResult, items_sha256

Item = TypeVar("Item")


class SetSize(NamedTuple):
    """How many items a suite has."""

    num_items: int
    metrics: Mapping[str, int] | None
    """Metric -> items that it applies to; None where only a run tells."""
    slices: Mapping[str, Mapping[str, int]]
    """Slice key -> value -> items."""


class Suite(Protocol):
    """Items, prompts and scorers that are the same for every model."""

    name: str
    more_metrics: bool = False
    """A run may give other metrics than ``metric_names``: those of earlier evaluations count beside them."""

    def run(self, engine: Engine, only: Collection[str] | None = None) -> SuiteResult:
        """Evaluate every item and score it.

        Sequential evaluation calls this several times with a few items each, so what is the same for every call (files,
        tasks, scorers) is best kept. An item's result may not depend on which other items are asked for.

        Args:
            engine: Answers.
            only: Ids of the items to evaluate, at least one; all when None. The result then holds these alone, and its
                ``items_sha256`` is over these; every other field of its info is that of a run of all items.

        Raises:
            UsageError: An id is unknown to the suite.
        """
        ...

    def metric_names(self) -> tuple[str, ...] | None:
        """Metrics of the results, sorted; None where only a run tells."""
        return None

    def set_size(self) -> SetSize | None:
        """Its size before a run; None where only a run tells."""
        return None


def check_known(suite: str, only: Collection[str], known: Collection[str]) -> None:
    """Refuse ids that the suite does not have, and an empty choice.

    Raises:
        UsageError: Names the first of them.
    """
    unknown = sorted(set(only).difference(known))
    if unknown or not only:
        what = f"has no item {unknown[0]!r}" if unknown else "was asked for no item"
        raise UsageError(f"suite {suite!r} {what}; evaluate the baselines again with `ratchet run`")


def chosen_items(suite: str, items: Mapping[str, Item], only: Collection[str] | None) -> list[Item]:
    """The items of ``only`` in the suite's order, all when None; refuses what ``check_known`` refuses."""
    if only is None:
        return list(items.values())
    check_known(suite, only, items)
    return [item for name, item in items.items() if name in only]


def spread_over(items: Sequence[Item], limit: int | None) -> list[Item]:
    """At most ``limit`` items, evenly from the whole sequence; all when None."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[index * len(items) // limit] for index in range(limit)]


def single_turns(engine: Engine, prompts: Sequence[str], max_new_tokens: int) -> list[GenerationRequest]:
    """Each prompt as the user's only turn, answered greedily."""
    turns = [engine.render([{"role": "user", "content": prompt}]) for prompt in prompts]
    return [GenerationRequest(turn, (), max_new_tokens) for turn in turns]


def result_of(suite: str, engine: Engine, items: Iterable[ItemResult], started: float, **info: Any) -> SuiteResult:
    """What a suite's ``run`` returns.

    Args:
        suite: The suite's name.
        engine: What answered.
        items: Their results.
        started: ``time.perf_counter()`` when the run began.
        **info: What of ``SuiteInfo`` the suite alone knows: its version, decoding, scorers.
    """
    found = tuple(items)
    about = SuiteInfo(
        suite=suite,
        items_sha256=items_sha256(found),
        engine=engine.name,
        model_identity=engine.model_identity,
        **info,
    )
    return SuiteResult(info=about, items=found, seconds=time.perf_counter() - started)
