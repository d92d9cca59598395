"""How the questions of an evaluation ended."""

from pydantic import BaseModel, ConfigDict


class AnswerCounts(BaseModel):
    """What was asked of the engine and how it ended; zero where nobody counted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_asked: int = 0
    num_cached: int = 0
    """Answers that an earlier evaluation of the same model had computed."""
    num_cut: int = 0
    """Completions that never stopped and were cut at their token limit; scored as they are."""
    num_empty: int = 0
    """Completions without text; scored as they are."""
    num_refused: int = 0
    """Prompts that do not fit the context, and log-probabilities that are not finite; their items are unscored."""
