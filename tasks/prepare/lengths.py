"""How many tokens training makes of a row."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evalsuite.core.errors import MissingArtifactError
from tasks.base_model.context import check_fits, context_tokens
from tasks.config.train import Answers
from tasks.data.formats import Row
from tasks.data.quiet import quiet
from tasks.objectives.conversation import UnwritableRowError, end_tokens
from tasks.objectives.objective import Objective, RowKind
from tasks.objectives.sft import Sft
from tasks.prepare.rows import content
from tasks.prepare.scale.engine import Engine, InProcess, on_each
from tasks.prepare.scale.stored import Rows
from tasks.training.rows.examples import tokenize_all


@dataclass(frozen=True)
class TokenLengths:
    """Token counts of rows by the base model's tokenizer; a row that did not change is counted once."""

    base: Path
    """The base model's export."""
    limit: int
    """``prepare.max_length_tokens``."""
    answers: Answers
    """Which answers of a conversation training will learn (``train.answers``)."""
    objective: Objective = field(default_factory=Sft)
    private: bool = False
    """Whether rows may hold personal data, so that no reason quotes one."""
    unwritable: dict[str, str] = field(default_factory=dict)
    """Source of each row with tools that the chat template cannot write, of those counted so far -> why; such a row
    has no sequences."""
    _counted: dict[int, list[int]] = field(default_factory=dict)
    """Record of a row in the file of rows -> its tokens."""

    def of(self, rows: Sequence[Row], engine: Engine = InProcess()) -> list[list[int]]:  # noqa: B008  immutable
        """Tokens of each sequence that training makes of a row: one, or of some conversations one an answer.

        Args:
            rows: In a file, where they are counted once; or in memory.
            engine: Where many rows of a file are counted.

        Raises:
            UsageError: The chat template cannot write a row without tools as it is to be learnt, or ``limit`` is beyond
                the model's context.
            MissingArtifactError: The base model was not fetched.
        """
        if not isinstance(rows, Rows):
            return [self._take(row.source, counted) for row, counted in zip(rows, self._count(rows), strict=True)]
        records = rows.records.tolist()
        new = Rows(rows.file, np.array([each for each in records if each not in self._counted], dtype=np.int64))
        counted = on_each(engine, self._count, new)
        for record, head, each in zip(new.records.tolist(), new.heads(), counted, strict=True):
            self._counted[record] = self._take(head.source, each)
        return [self._counted[record] for record in records]

    def _take(self, source: str, counted: "Counted") -> list[int]:
        self.unwritable.pop(source, None)
        if counted.unwritable:
            self.unwritable[source] = counted.unwritable
        return counted.lengths

    @cached_property
    def _count(self) -> "CountTokens":
        return CountTokens(self.base, self.limit, self.answers, self.objective, self.private)


class Counted(NamedTuple):
    """What was counted of a row."""

    lengths: list[int]
    """Of each of its sequences."""
    unwritable: str = ""
    """Why the chat template cannot write its tools."""


@dataclass(frozen=True)
class CountTokens:
    """Counts some rows at a time; the fields are those of ``TokenLengths``."""

    base: Path
    limit: int
    answers: Answers
    objective: Objective
    private: bool

    def __reduce__(self) -> tuple[type["CountTokens"], tuple[Any, ...]]:
        """Another process loads the tokenizer itself."""
        return type(self), (self.base, self.limit, self.answers, self.objective, self.private)

    def __call__(self, rows: Sequence[Row]) -> list[Counted]:
        """Each row's tokens."""
        tokenizer, ends = self._tokenizer
        lines = [json.dumps(self._as_written(row)) for row in rows if not has_tools(row)]
        found: dict[str, list[int]] = {row.source: [] for row in rows}
        try:
            for sequence in tokenize_all(lines, tokenizer, ends, self.answers, self.objective):
                found[sequence.name].append(len(sequence.input_ids))
        except UnwritableRowError as error:
            raise UnwritableRowError(error.name, self._told(error)) from None
        return [self._with_tools(row) if has_tools(row) else Counted(found[row.source]) for row in rows]

    def _with_tools(self, row: Row) -> Counted:
        tokenizer, ends = self._tokenizer
        try:
            sequences = self.objective.tokenize([self._as_written(row)], tokenizer, ends, self.answers)
        except UnwritableRowError as error:
            return Counted([], self._told(error))
        return Counted([len(sequence.input_ids) for sequence in sequences])

    def _told(self, error: UnwritableRowError) -> str:
        return quiet(error.reason, ())[0] if self.private else error.reason

    @cached_property
    def _tokenizer(self) -> tuple[Any, Collection[int] | None]:
        """The base model's, and the tokens that end an answer."""
        if not (self.base / "manifest.json").is_file():
            raise MissingArtifactError(f"no base model at {self.base}; make it with `ratchet stage fetch`")
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(self.base, local_files_only=True, trust_remote_code=False)
        if self.objective.rows is RowKind.CONVERSATIONS:  # documents are cut
            check_fits("prepare.max_length_tokens", self.limit, context_tokens(self.base))
        return tokenizer, end_tokens(self.base, tokenizer)

    def _as_written(self, row: Row) -> dict[str, Any]:
        return {"id": row.source, **content(row, self.objective)}


def has_tools(row: Row) -> bool:
    """Whether tools are defined, called or answer in a row."""
    return bool(row.tools) or any("tool_calls" in turn for turn in row.messages)
