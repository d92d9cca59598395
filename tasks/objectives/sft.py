"""Supervised fine-tuning: the assistant's answers are learnt."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tasks.config.train import Answers, TrainParams
from tasks.objectives.conversation import Labelled, Labeller
from tasks.objectives.documents import Example
from tasks.objectives.objective import Objective, RowKind
from tasks.objectives.token_cache import TokenRow


class Sft(Objective):
    """Each answer, or the last one, with the token that ends its turn."""

    name = "sft"
    rows = RowKind.CONVERSATIONS

    def tokenize(
        self, rows: Sequence[Mapping[str, Any]], tokenizer: Any, end_ids: Collection[int] | None, answers: Answers
    ) -> list[TokenRow]:
        """One sequence a conversation, or one an answer; see ``Labeller.label``."""
        labeller = Labeller(tokenizer, end_ids, answers)
        return [
            TokenRow(row["id"], *found)
            for row in rows
            for found in labeller.label(row["id"], row["messages"], row.get("tools", ()))
        ]

    def examples(self, row: TokenRow, limit: int) -> Iterable[Example]:
        """The whole sequence, whatever its length."""
        return [Labelled(row.input_ids, row.spans or ()).example()]

    def told(self, rows: Sequence[TokenRow], examples: Sequence[Example], answers: Answers) -> list[str]:
        """How many answers are learnt, and where conversations became several sequences."""
        number = sum(len(row.spans or ()) for row in rows)
        which = "every answer whose weight is not 0" if answers is Answers.ALL else "the last answer of each row"
        lines = [f"{number} answers learnt (train.answers = {answers}: {which})"]
        several = [count for count in Counter(row.name for row in rows).values() if count > 1]
        if several:
            lines.append(
                "the chat template writes earlier answers otherwise than the last one, so "
                f"{len(several)} conversations became {sum(several)} sequences, one an answer"
            )
        return lines

    def counts(self, counts: dict[str, int], num_tokens: Iterable[int], train: TrainParams) -> dict[str, int]:
        """Answers that are learnt apart are rows of their own; with the last one alone there is one a conversation."""
        split = train.answers is Answers.ALL and "sequences" in counts
        return {**counts, "rows": counts["sequences"]} if split else counts
