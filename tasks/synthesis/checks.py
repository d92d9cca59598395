"""Whether a row that a model wrote is worth learning, before it is written down."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from evalsuite.core.text import as_written
from tasks.data.decontaminate import HeldOut, said_by
from tasks.data.formats import BadRow, Row, parse_row
from tasks.prepare.alike.near import Nearest, NearIndex
from tasks.prepare.alike.shingles import Shingling, jaccard
from tasks.prepare.quality import Quality
from tasks.prepare.rows import held_out_match
from tasks.prepare.steps import StepInputs
from tasks.synthesis.kinds import Kind, Request

SIMILAR = 0.7
"""Least Jaccard similarity (of runs of 5 characters) at which a text is a repetition; Self-Instruct (section 2.2) keeps
an instruction whose ROUGE-L with every other is below 0.7."""
SIGNS = Quality(refusals=True)


class Candidate(NamedTuple):
    """A row that a model wrote."""

    request: Request
    entry: Mapping[str, Any]
    """As it would stand in the file."""


@dataclass
class Checked:
    """What is left of the candidates, and why the others are not."""

    kept: list[Mapping[str, Any]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    """Reason -> how many."""


@dataclass(frozen=True)
class Checks:
    """What rows are held against."""

    kind: Kind
    others: Sequence[Row]
    """Rows of the source, those that were not shown among them."""
    held_out: HeldOut
    given: StepInputs

    def of(self, candidates: Sequence[Candidate]) -> Checked:
        """Look at one row after the other; of two that are alike the first stays."""
        found = Checked()
        asked = [_compared(row) for row in self.others]
        first = len(asked)
        asked += [_compared_turns(each.entry["messages"]) for each in candidates]
        index = NearIndex.of(asked.__getitem__, len(asked), SIMILAR)
        nearest = Nearest(index)
        for at in range(first):
            nearest.add(at)
        for at, candidate in enumerate(candidates, first):
            reason = self._sign(candidate) or self._repetition(candidate, nearest, at)
            if reason:
                found.refused[reason] += 1
            else:
                found.kept.append(candidate.entry)
                nearest.add(at)
        return found

    def _sign(self, candidate: Candidate) -> str:
        """What is wrong with the row by itself; empty where nothing is."""
        row = parse_row(json.dumps(candidate.entry).encode(), "reply:1", self.given.rules)
        if isinstance(row, BadRow):
            return "no row that training can read"
        if self.kind is not Kind.REWRITE_QUESTION and (sign := self._of_text(row)):
            return sign
        if self.kind is not Kind.REWRITE_ANSWER:
            asked, written = candidate.request.seeds[0].messages[-2]["content"], row.messages[-2]["content"]
            exchange = ({"role": "user", "content": asked}, {"role": "assistant", "content": written})
            if sign := self._of_text(row._replace(messages=exchange)):
                return f"question: {sign}"
        if held_out_match(row, self.held_out, self.given.objective) is not None:
            return "asks what a golden or test item asks"
        return ""

    def _of_text(self, row: Row) -> str:
        dropped = SIGNS.run([row], self.given).dropped
        return dropped[0].reason if dropped else ""

    def _repetition(self, candidate: Candidate, nearest: Nearest, at: int) -> str:
        if self.kind is Kind.REWRITE_ANSWER:
            before, after = candidate.request.seeds[0].messages[-1], candidate.entry["messages"][-1]
            runs = [self._shingling.of(as_written(turn["content"]).casefold()) for turn in (before, after)]
            return "hardly differs from the answer that there is" if jaccard(*runs) >= SIMILAR else ""
        alike = nearest.find(at)
        if alike is None:
            return ""
        return "repeats a row of the source" if alike.row < len(self.others) else "repeats another reply"

    @cached_property
    def _shingling(self) -> Shingling:
        return Shingling()


def _compared(row: Row) -> str:
    return _compared_turns(row.messages)


def _compared_turns(turns: Sequence[Mapping[str, Any]]) -> str:
    """What the user says last."""
    return as_written((said_by("user", turns) or [""])[-1]).casefold()
