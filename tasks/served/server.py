"""Settings of a chat model behind an OpenAI-compatible server: vLLM, SGLang, ``transformers serve``, a hosted API."""

import os
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from evalsuite.core.credentials import without_credentials
from evalsuite.core.errors import UsageError
from evalsuite.core.settings import Settings
from evalsuite.network.server_address import is_here, is_server_address, travels_unencrypted

if TYPE_CHECKING:
    import openai


class ChatServer(Settings):
    """Where the server is, which model it is asked for, and how."""

    base_url: str
    """Such as ``http://127.0.0.1:8000/v1``."""
    model: str = Field(min_length=1)
    """The model's name on the server."""
    api_key_variable: str = Field(default="OPENAI_API_KEY", min_length=1)
    """Environment variable that holds the key; none is sent where it is unset."""
    timeout_seconds: float = Field(default=120.0, gt=0.0)
    """Longest wait for one answer."""
    retries: int = Field(default=4, ge=0, le=20)
    """Further tries of one request after a timeout, a refused connection or a status that may pass (429, 5xx)."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Requests in flight."""
    max_tokens: int = Field(default=1024, ge=1)
    """Longest answer."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """0 takes the likeliest token each time."""
    seed: int = 0
    """Of answers with a temperature above 0, where the server keeps to it."""
    top_logprobs: int = Field(default=0, ge=0, le=20)
    """How many of the likeliest tokens the server names with their log-probabilities at each place; 0 asks for none."""

    @model_validator(mode="after")
    def _is_address(self) -> Self:
        if not is_server_address(self.base_url):  # a message about one field would quote it with its password
            raise ValueError(
                f"base_url = {self.shown_url!r} is not a server's address; expected one such as "
                "http://127.0.0.1:8000/v1"
            )
        return self

    @property
    def shown_url(self) -> str:
        """The address as messages and reports name it."""
        return without_credentials(self.base_url)

    @property
    def is_here(self) -> bool:
        """Whether what is asked stays on this machine."""
        return is_here(self.base_url)

    @property
    def sampling(self) -> dict[str, Any]:
        """What of a request an answer depends on, beside model and messages."""
        seed = {"seed": self.seed} if self.temperature else {}
        beside = {"logprobs": True, "top_logprobs": self.top_logprobs} if self.top_logprobs else {}
        return {"max_tokens": self.max_tokens, "temperature": self.temperature, **seed, **beside}

    def client(self) -> "openai.AsyncOpenAI":
        """A client that follows no redirect, reads no endless body, and asks a server on this machine without a proxy.

        Raises:
            UsageError: The key cannot be sent, or would travel unencrypted to another machine.
        """
        import openai

        from tasks.served.bodies import PunctualClient

        return openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=self._key() or "none",
            timeout=self.timeout_seconds,
            max_retries=self.retries,
            # Redirects are not followed: rows go to the address in the settings, and to no other.
            http_client=PunctualClient(
                self.timeout_seconds, trust_env=not self.is_here, headers={"Accept-Encoding": "identity"}
            ),
        )

    def _key(self) -> str:
        key = os.environ.get(self.api_key_variable, "").strip()
        if key and not (key.isascii() and key.isprintable()):
            raise UsageError(
                f"the key in ${self.api_key_variable} has characters that no request can hold; set it anew"
            )
        if key and travels_unencrypted(self.base_url):
            raise UsageError(
                f"{self.shown_url} would get the key in ${self.api_key_variable} unencrypted; use https, or unset the "
                "variable"
            )
        return key
