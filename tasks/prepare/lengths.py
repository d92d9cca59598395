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
from tasks.objectives.objective import Objective, RowKind
from tasks.objectives.sft import Sft
from tasks.prepare.rows import content
from tasks.training.rows.conversation import end_tokens
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
    _counted: dict[str, tuple[Row, list[int]]] = field(default_factory=dict)

    def of(self, rows: Sequence[Row]) -> list[list[int]]:
        """Tokens of each sequence that training makes of each row; raises as ``token_lengths`` does."""
        new = [row for row in rows if row.source not in self._counted or self._counted[row.source][0] is not row]
        counted = token_lengths(new, self.base, self.limit, self.answers, self.objective) if new else []
        self._counted.update({row.source: (row, lengths) for row, lengths in zip(new, counted, strict=True)})
        return [self._counted[row.source][1] for row in rows]


def token_lengths(
    rows: Sequence[Row], base: Path, limit: int, answers: Answers, objective: Objective
) -> list[list[int]]:
    """Tokens of each sequence that training makes of a row: one, or of some conversations one an answer.

    Raises:
        UsageError: The chat template cannot write a row as it is to be learnt, or ``limit`` is beyond the model's
            context.
        MissingArtifactError: The base model was not fetched.
    """
    if not (base / "manifest.json").is_file():
        raise MissingArtifactError(f"no base model at {base}; make it with `ratchet stage fetch`")
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    if objective.rows is RowKind.CONVERSATIONS:  # documents are cut
        check_fits("prepare.max_length_tokens", limit, context_tokens(base))
    lines = [json.dumps({"id": row.source, **content(row, objective)}) for row in rows]
    found: dict[str, list[int]] = {row.source: [] for row in rows}
    for sequence in tokenize_all(lines, tokenizer, end_tokens(base, tokenizer), answers, objective):
        found[sequence.name].append(len(sequence.input_ids))
    return [found[row.source] for row in rows]
