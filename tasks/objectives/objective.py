"""What an objective owns: the rows it reads, which of their tokens are learnt by which loss, and what to plan for."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from tasks.config.train import Answers, TrainParams
from tasks.objectives.documents import Example
from tasks.objectives.token_cache import TokenRow


class RowKind(StrEnum):
    """What a row holds: the formats of ``tasks.data.formats``."""

    CONVERSATIONS = "conversations"
    DOCUMENTS = "documents"


class Objective(ABC):
    """One objective of ``prepare.objective``; another package's is a subclass, of this or of a built-in one."""

    name: ClassVar[str]
    rows: ClassVar[RowKind]
    fields: ClassVar[tuple[str, ...]] = ()
    """Further fields of a row that are read, and written as they are for ``tokenize``."""

    @abstractmethod
    def tokenize(
        self, rows: Sequence[Mapping[str, Any]], tokenizer: Any, end_ids: Collection[int] | None, answers: Answers
    ) -> list[TokenRow]:
        """Prepared rows as token ids, whole; see ``tasks.training.rows.examples.read_examples``.

        Raises:
            UsageError: A row cannot be learnt; names it.
        """

    @abstractmethod
    def examples(self, row: TokenRow, limit: int) -> Iterable[Example]:
        """What is trained on of a row, with the label of each token; ``limit`` are the tokens of a training row."""

    @abstractmethod
    def told(self, rows: Sequence[TokenRow], examples: Sequence[Example], answers: Answers) -> list[str]:
        """What is really learnt of the rows, a line each."""

    def trainer(self, base: Any) -> Any:
        """The trainer's class: ``base``, whose loss is the mean over labelled tokens, or one that derives from it."""
        return base

    def counts(self, counts: dict[str, int], num_tokens: Iterable[int], train: TrainParams) -> dict[str, int]:
        """What to plan for.

        Args:
            counts: ``rows``, ``tokens`` and the ``longest`` sequence that preparation counted, and ``sequences`` where
                rows became more of them.
            num_tokens: Of each row.
            train: What all methods share.

        Returns:
            The same of the sequences that are trained on, as ``rows``.
        """
        return counts
