"""What answers the suites, as params.yaml says it."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.config.section import Section


class EngineKind(StrEnum):
    """What answers the suites."""

    HF = "hf"
    """transformers, in the stage's own process."""
    OPENAI = "openai"
    """A server that is already running: vLLM, SGLang, TGI, ``transformers serve``."""
    VLLM = "vllm"
    """``vllm serve``, started on 127.0.0.1 for the stage and stopped at its end."""


class EngineParams(Section):
    """The engine of every suite; results name their engine, and those of different engines may be compared."""

    kind: EngineKind = EngineKind.HF
    base_url: str | None = None
    """openai: the server's address; ``{model}`` in it becomes base, champion or a method's name."""
    served_model: str | None = None
    """openai: the model's name there, ``{model}`` as above; the exported folder when absent."""
    send: Literal["text", "tokens"] = "text"
    """openai: prompts as text, or as token ids where the server adds special tokens to text."""
    check_weights: bool = True
    """openai: compare answers with those of the exported weights, loaded here, before the suites."""
    concurrency: int = Field(default=16, ge=1, le=4096)
    """Largest number of requests in flight."""
    timeout_seconds: float = Field(default=600.0, gt=0.0)
    """Longest wait for one answer."""
    max_retries: int = Field(default=5, ge=0, le=100)
    """Retries of one request, with exponential back-off."""
    api_key_variable: str = "OPENAI_API_KEY"
    """Environment variable with the server's key; local servers need none."""
    server_arguments: tuple[str, ...] = ()
    """vllm: more arguments of ``vllm serve``, such as ``--tensor-parallel-size=2``."""

    @model_validator(mode="after")
    def _address_fits_kind(self) -> Self:
        if self.kind is EngineKind.OPENAI and self.base_url is None:
            raise ValueError("kind openai needs base_url, the server's address such as http://127.0.0.1:8000/v1")
        if self.kind is not EngineKind.OPENAI and (self.base_url or self.served_model):
            raise ValueError(f"kind {self.kind} takes no base_url or served_model; use kind openai")
        return self
