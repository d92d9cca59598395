"""One conversation as examples."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tasks.config.train import Answers
from tasks.objectives.conversation import Labeller
from tasks.objectives.documents import Example


def tokenize(
    name: str,
    messages: Sequence[Mapping[str, Any]],
    tokenizer: Any,
    end_ids: Collection[int] | None = None,
    answers: Answers = Answers.ALL,
) -> list[Example]:
    """One conversation; see ``Labeller.label``."""
    return [found.example() for found in Labeller(tokenizer, end_ids, answers).label(name, messages)]
