"""What a suite is."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from evalsuite.core.errors import UsageError
from evalsuite.engines.base import Engine, GenerationRequest
from evalsuite.items.results import SuiteResult

Item = TypeVar("Item")


class Suite(Protocol):
    """Items, prompts and scorers that are the same for every model."""

    name: str

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


@runtime_checkable
class NamesMetrics(Protocol):
    """A suite that can say before a run which metrics it gives; a suite of another package need not."""

    def metric_names(self) -> tuple[str, ...] | None:
        """Metrics of the results, sorted; None where only a run tells."""
        ...


def known_metrics(suite: Suite) -> tuple[str, ...] | None:
    """Metrics that a suite will give; None where only a run tells."""
    return suite.metric_names() if isinstance(suite, NamesMetrics) else None


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
