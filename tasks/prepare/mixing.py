"""Shares that are held whatever the steps dropped: of rows that a model wrote, and of replay.

``prepare.max_synthetic_share`` leaves rows out instead of refusing them: how many rows are clean is known only after
the steps, and a nightly run must not stop because one more duplicate among the others was found.
"""

import logging
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.data.formats import Row
from tasks.prepare.inputs.source_files import file_of, source_files
from tasks.prepare.personal.names import masked
from tasks.prepare.scale.heads import Head
from tasks.prepare.scale.stored import Rows, only
from tasks.prepare.steps import Note, Outcome, Step, StepInputs

logger = logging.getLogger(__name__)

NAME = "mix"
"""Its step; it stands in no list, so that no list can leave it out."""
BEYOND_REPLAY = "beyond the share of prepare.replay"
BEYOND_SYNTHETIC = "beyond prepare.max_synthetic_share"


class Parts(NamedTuple):
    """Positions of rows by who they come from."""

    people: list[int]
    """Of ``prepare.sources``, written by people."""
    synthetic: list[int]
    """Of ``prepare.sources``, written by a model."""
    replay: list[int]


class Mix(Step):
    """Leaves out synthetic rows beyond ``prepare.max_synthetic_share``, and replay beyond its share."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Draw what stays with ``prepare.seed``.

        Raises:
            UsageError: A model wrote all rows, or rows of ``prepare.replay``.
        """
        params = given.params
        origins = origins_of(given.heads(rows))
        parts = parts_of(origins, entries_of([one.source for one in origins], params, given.paths.root), params)
        synthetic, replay = kept_parts(parts, params)
        _check(origins, parts, len(synthetic), params)
        _warn(parts, len(synthetic), len(replay), params)
        kept = {*parts.people, *synthetic, *replay}
        reasons = dict.fromkeys(parts.synthetic, BEYOND_SYNTHETIC) | dict.fromkeys(parts.replay, BEYOND_REPLAY)
        dropped = [Note(one.source, reasons[at]) for at, one in enumerate(origins) if at not in kept]
        counts = {}
        for name, came, left, share in (
            ("replay", parts.replay, replay, params.replay.share if params.replay else 0.0),
            ("synthetic (at most)", parts.synthetic, synthetic, params.max_synthetic_share),
        ):
            if came:
                reached, asked = f"{len(left) / len(kept):.1%}", f"{share:.1%}"
                counts[name] = {"clean rows": len(came), "kept": len(left), "share": reached, "asked for": asked}
        return Outcome(only(rows, sorted(kept)), dropped, counts=counts)


class Origin(NamedTuple):
    """Who a row comes from."""

    source: str
    written: tuple[str, str] | None
    """``Head.written``."""


def origins_of(heads: Iterable[Head]) -> list[Origin]:
    """Of some rows."""
    return [Origin(head.source, head.written) for head in heads]


def entries_of(sources: Sequence[str], params: PrepareParams, root: Path) -> list[int]:
    """The one of ``PrepareParams.entries`` that each row came from."""
    if len(params.entries) == 1:
        return [0] * len(sources)
    entries = {file.name: file.entry for file in source_files(params, root, fetch=False)}
    return [entries[file_of(source)] for source in sources]


def parts_of(
    origins: Sequence[Origin], entries: Sequence[int], params: PrepareParams, positions: Iterable[int] | None = None
) -> Parts:
    """Sort rows by who they come from.

    Args:
        origins: Of the rows.
        entries: The entry of each of them.
        params: Says which entry is that of replay.
        positions: Of the rows that are sorted; all when None.
    """
    parts = Parts([], [], [])
    for at in range(len(origins)) if positions is None else positions:
        if entries[at] >= len(params.sources):
            parts.replay.append(at)
        else:
            (parts.synthetic if origins[at].written else parts.people).append(at)
    return parts


def kept_parts(parts: Parts, params: PrepareParams) -> tuple[list[int], list[int]]:
    """The synthetic rows and those of replay that the shares leave, drawn with ``prepare.seed``."""
    share = 0.0 if params.replay is None else params.replay.share
    synthetic, replay = kept_counts(
        len(parts.people), len(parts.synthetic), len(parts.replay), share, params.max_synthetic_share
    )

    def drawn(name: str, rows: list[int], count: int) -> list[int]:
        return sorted(random.Random(f"{params.seed} {name}").sample(rows, count))  # noqa: S311  a sample, no secret

    return drawn("synthetic", parts.synthetic, synthetic), drawn("replay", parts.replay, replay)


def kept_counts(people: int, synthetic: int, replay: int, share: float, most: float) -> tuple[int, int]:
    """How many synthetic rows and rows of replay stay beside all that people wrote.

    Args:
        people: Rows of sources that people wrote.
        synthetic: Rows of sources that a model wrote.
        replay: Rows that replay has.
        share: Share of replay among all rows that stay (fraction 0..1).
        most: Largest share of synthetic rows among them (fraction 0..1).
    """

    def beside(own: int) -> int:
        return min(replay, round(own * share / (1.0 - share)))

    def is_too_many(count: int) -> bool:
        return count > most * (people + count + beside(people + count)) + 1e-9

    stay = bisect_left(range(1, synthetic + 1), True, key=is_too_many)
    return stay, beside(people + stay)


def mixture(sides: Sequence[Rows], given: StepInputs, private: bool) -> dict[str, Any]:
    """What report.json says of replay and of synthetic rows among the train and dev rows; empty without both.

    Args:
        sides: Train and dev rows.
        given: What was asked for.
        private: Whether rows may hold personal data, which is then hidden in the names that their marks give too.
    """
    params = given.params
    told: dict[str, Any] = {}
    total = sum(map(len, sides)) or 1
    if params.replay is not None:
        sources = [head.source for rows in sides for head in given.heads(rows)]
        count = entries_of(sources, params, given.paths.root).count(len(params.sources))
        told["replay"] = {**params.replay.model_dump(), "rows": count, "reached": round(count / total, 4)}
    marks = Counter(head.written for rows in sides for head in given.heads(rows) if head.written)
    found = Counter[tuple[str, str]]()
    for (kind, model), count in marks.items():
        found[(masked(kind), masked(model)) if private else (kind, model)] += count
    if found:
        by = [{"kind": kind, "model": model, "rows": count} for (kind, model), count in sorted(found.items())]
        count = found.total()
        told["synthetic"] = {
            "rows": count,
            "share": round(count / total, 4),
            "max_share": params.max_synthetic_share,
            "by": by,
        }
    return told


def _check(origins: Sequence[Origin], parts: Parts, num_synthetic: int, params: PrepareParams) -> None:
    written = next((origins[at].source for at in parts.replay if origins[at].written), None)
    if written is not None:
        raise UsageError(
            f"prepare.replay: a model wrote {written}, and replay is for rows that the base model may have learnt "
            "from; name its file in prepare.sources, where prepare.max_synthetic_share counts it"
        )
    if parts.synthetic and not parts.people and not num_synthetic:
        raise UsageError(
            f"a model wrote all {len(parts.synthetic)} clean rows of prepare.sources, and prepare.max_synthetic_share "
            f"= {params.max_synthetic_share:g} leaves none of them; add rows that people wrote, or set "
            "prepare.max_synthetic_share: 1.0"
        )


def _warn(parts: Parts, num_synthetic: int, num_replay: int, params: PrepareParams) -> None:
    own = len(parts.people) + num_synthetic
    if num_synthetic < len(parts.synthetic):
        logger.warning(
            "prepare.max_synthetic_share = %g leaves %d of %d synthetic rows beside %d others",
            *(params.max_synthetic_share, num_synthetic, len(parts.synthetic), len(parts.people) + num_replay),
        )
    if params.replay is None:
        return
    wanted = round(own * params.replay.share / (1.0 - params.replay.share))
    if num_replay < wanted:
        logger.warning(
            "prepare.replay: %s has %d clean rows, and a share of %g beside %d other rows is %d: the share is %.4f; "
            "name a larger source, or lower the share",
            *(params.replay.path, num_replay, params.replay.share, own, wanted, num_replay / (own + num_replay)),
        )
