"""Continued pretraining: every token of documents is learnt once."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tasks.config.train import Answers, TrainParams
from tasks.objectives.documents import IGNORED, Example, document_ids, num_pieces, pieces
from tasks.objectives.objective import Objective, RowKind
from tasks.objectives.token_cache import TokenRow


class Text(Objective):
    """Documents are cut into training rows; none is too long."""

    name = "text"
    rows = RowKind.DOCUMENTS

    def tokenize(
        self, rows: Sequence[Mapping[str, Any]], tokenizer: Any, end_ids: Collection[int] | None, answers: Answers
    ) -> list[TokenRow]:
        """Each document with the token that ends a text."""
        return [TokenRow(row["id"], document_ids(row["text"], tokenizer), None) for row in rows]

    def examples(self, row: TokenRow, limit: int) -> Iterable[Example]:
        """Pieces of at most ``limit`` tokens."""
        return pieces(row.input_ids, limit)

    def told(self, rows: Sequence[TokenRow], examples: Sequence[Example], answers: Answers) -> list[str]:
        """How many tokens are learnt."""
        tokens = sum(label != IGNORED for example in examples for label in example.labels)
        return [f"{len(rows)} documents in {len(examples)} rows, {tokens} tokens learnt"]

    def counts(self, counts: dict[str, int], num_tokens: Iterable[int], train: TrainParams) -> dict[str, int]:
        """Pieces, cut as training cuts them."""
        limit = train.max_length_tokens
        rows = sum(num_pieces(number, limit) for number in num_tokens)
        return {**counts, "rows": rows, "longest": min(counts["longest"], limit)}
