"""Which judge is asked, as params.yaml and the command line say it; importing it loads no judge."""

from enum import StrEnum

from pydantic import Field

from evalsuite.core.settings import Settings


class JudgeKind(StrEnum):
    """What judges harm."""

    DEFAULT = "default"
    """A small model of ours for machines without a GPU."""
    HARMBENCH = "harmbench"
    """HarmBench's 13B classifier; needs a GPU."""
    HARMBENCH_MISTRAL = "harmbench_mistral"
    """Its 7B variant; needs a GPU."""
    CHAT = "chat"
    """A chat model behind an OpenAI-compatible server."""
    STRING_MATCHING = "string_matching"
    """Refusal phrases; agrees with people in two cases of three, kept to compare with."""


class JudgeSettings(Settings):
    """Which judge, and where it is."""

    kind: JudgeKind = JudgeKind.DEFAULT
    model: str | None = None
    """harmbench*: hub id or folder that replaces the published one; chat: the model's name on the server (required)."""
    revision: str | None = None
    """harmbench*: commit of the hub repository (required for a hub id)."""
    base_url: str | None = None
    """chat: address of the server, such as http://127.0.0.1:8000/v1 (required)."""
    api_key_variable: str = "OPENAI_API_KEY"
    """chat: environment variable that holds the key."""
    calibration: str | None = None
    """harmbench*, chat: file of ``ratchet judge check --save``; widens the gate's intervals by the judge's errors."""
    timeout_seconds: float = Field(default=60.0, gt=0.0)
    """chat: for one answer."""
    retries: int = Field(default=4, ge=0, le=20)
    """chat: of one request."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """chat: requests in flight."""
