"""How many tokens training makes of a row."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from evalsuite.core.errors import MissingArtifactError
from tasks.base_model.context import check_fits, context_tokens
from tasks.config.train import Answers
from tasks.data.formats import Row
from tasks.data.quiet import quiet
from tasks.objectives.conversation import UnwritableRowError, end_tokens
from tasks.objectives.objective import Objective, RowKind
from tasks.objectives.sft import Sft
from tasks.prepare.rows import content
from tasks.prepare.scale.stored import Rows, only
from tasks.training.rows.examples import tokenize_all

COUNTED_TOGETHER = 50_000
"""Rows that are in memory at a time."""


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

    def of(self, rows: Sequence[Row]) -> list[list[int]]:
        """Tokens of each sequence that training makes of a row: one, or of some conversations one an answer.

        Raises:
            UsageError: The chat template cannot write a row without tools as it is to be learnt, or ``limit`` is beyond
                the model's context.
            MissingArtifactError: The base model was not fetched.
        """
        if not isinstance(rows, Rows):
            return self._count(rows)
        records = rows.records.tolist()
        new = [at for at, record in enumerate(records) if record not in self._counted]
        for begin in range(0, len(new), COUNTED_TOGETHER):
            some = new[begin : begin + COUNTED_TOGETHER]
            counted = self._count(list(only(rows, some)))
            self._counted.update(zip((records[at] for at in some), counted, strict=True))
        return [self._counted[record] for record in records]

    def _count(self, rows: Sequence[Row]) -> list[list[int]]:
        tokenizer, ends = self._tokenizer
        lines = [json.dumps(self._as_written(row)) for row in rows if not has_tools(row)]
        found: dict[str, list[int]] = {row.source: [] for row in rows}
        try:
            for sequence in tokenize_all(lines, tokenizer, ends, self.answers, self.objective):
                found[sequence.name].append(len(sequence.input_ids))
        except UnwritableRowError as error:
            raise UnwritableRowError(error.name, self._told(error)) from None
        for row in filter(has_tools, rows):
            self.unwritable.pop(row.source, None)
            try:
                sequences = self.objective.tokenize([self._as_written(row)], tokenizer, ends, self.answers)
            except UnwritableRowError as error:
                self.unwritable[row.source] = self._told(error)
            else:
                found[row.source] = [len(sequence.input_ids) for sequence in sequences]
        return [found[row.source] for row in rows]

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
