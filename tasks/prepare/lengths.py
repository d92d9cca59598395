"""How many tokens training makes of a row."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalsuite.core.errors import MissingArtifactError
from tasks.base_model.context import check_fits, context_tokens
from tasks.config.train import Answers
from tasks.data.formats import Row
from tasks.objectives.conversation import UnwritableRowError, end_tokens
from tasks.objectives.objective import Objective, RowKind
from tasks.objectives.sft import Sft
from tasks.prepare.rows import content
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
    unwritable: dict[str, str] = field(default_factory=dict)
    """Source of each row with tools that the chat template cannot write, of those counted so far -> why; such a row
    has no sequences."""
    _counted: dict[str, tuple[Row, list[int]]] = field(default_factory=dict)

    def of(self, rows: Sequence[Row]) -> list[list[int]]:
        """Tokens of each sequence that training makes of a row: one, or of some conversations one an answer.

        Raises:
            UsageError: The chat template cannot write a row without tools as it is to be learnt, or ``limit`` is beyond
                the model's context.
            MissingArtifactError: The base model was not fetched.
        """
        new = [row for row in rows if row.source not in self._counted or self._counted[row.source][0] is not row]
        for row, lengths in zip(new, self._count(new) if new else (), strict=True):
            self._counted[row.source] = (row, lengths)
        return [self._counted[row.source][1] for row in rows]

    def _count(self, rows: Sequence[Row]) -> list[list[int]]:
        if not (self.base / "manifest.json").is_file():
            raise MissingArtifactError(f"no base model at {self.base}; make it with `ratchet stage fetch`")
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(self.base, local_files_only=True, trust_remote_code=False)
        if self.objective.rows is RowKind.CONVERSATIONS:  # documents are cut
            check_fits("prepare.max_length_tokens", self.limit, context_tokens(self.base))
        lines = [json.dumps(self._as_written(row)) for row in rows if not has_tools(row)]
        ends = end_tokens(self.base, tokenizer)
        found: dict[str, list[int]] = {row.source: [] for row in rows}
        for sequence in tokenize_all(lines, tokenizer, ends, self.answers, self.objective):
            found[sequence.name].append(len(sequence.input_ids))
        for row in filter(has_tools, rows):
            self.unwritable.pop(row.source, None)
            try:
                sequences = self.objective.tokenize([self._as_written(row)], tokenizer, ends, self.answers)
            except UnwritableRowError as error:
                self.unwritable[row.source] = error.reason
            else:
                found[row.source] = [len(sequence.input_ids) for sequence in sequences]
        return [found[row.source] for row in rows]

    def _as_written(self, row: Row) -> dict[str, Any]:
        return {"id": row.source, **content(row, self.objective)}


def has_tools(row: Row) -> bool:
    """Whether tools are defined, called or answer in a row."""
    return bool(row.tools) or any("tool_calls" in turn for turn in row.messages)
