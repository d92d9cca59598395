"""The golden set and what scores it, as params.yaml says it; planning and training read it too."""

from pydantic import Field, field_validator

from evalsuite.core.settings import Settings
from evalsuite.judges.settings import JudgeKind, JudgeSettings


class GoldenParams(Settings):
    """The domain's golden set."""

    path: str
    """Folder with dev.jsonl, test.jsonl and manifest.json."""
    max_new_tokens: int = Field(default=256, ge=1)
    bertscore_model: str = "microsoft/deberta-xlarge-mnli"
    """Hub id, folder or ``package:NAME`` of the embedding model for ``bertscore_f1`` (``roberta-large`` also)."""
    bertscore_revision: str | None = None
    """Hub commit of that model (40 hex digits); required for a hub id once an item asks for a BERTScore metric."""
    bertscore_layer: int | None = Field(default=None, ge=1)
    """Layer of that model; bert-score's own choice when absent (needed for models it does not know)."""
    bertscore_baseline: str | None = None
    """Table LAYER,P,R,F to rescale with; the one that bert-score brings for a hub model when absent, else none."""
    judge: JudgeSettings | None = None
    """Kind chat: scores the metric ``judge`` by an item's rubric; needed only where an item asks for it."""

    @field_validator("judge")
    @classmethod
    def _rubrics_need_a_chat_model(cls, judge: JudgeSettings | None) -> JudgeSettings | None:
        if judge is not None and judge.kind is not JudgeKind.CHAT:
            raise ValueError(f"kind {judge.kind} cannot read a rubric; use kind: chat with base_url and model")
        return judge
