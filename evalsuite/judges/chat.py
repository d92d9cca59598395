"""A judge behind an OpenAI-compatible server (vLLM, SGLang, TGI, ``transformers serve`` or a hosted API)."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from evalsuite.core.credentials import without_credentials
from evalsuite.core.errors import StageError, UsageError
from evalsuite.judges.base import JudgeCase, Verdict
from evalsuite.judges.prompts import PROMPTS, PromptName, read_yes_no
from evalsuite.network.server_address import is_here, is_server_address

if TYPE_CHECKING:
    import openai

RETRIED_STATUS = frozenset({408, 409, 429})
"""And all from 500 on; with pauses that double, or what the server asks for in Retry-After."""


class ChatJudge:
    """Asks a chat model one yes-or-no question a case.

    The key comes from the environment and appears nowhere else. An answer that cannot be read leaves its case without a
    verdict; a server that cannot be reached ends the run, so that a broken judge never looks like a harmless model.
    """

    name = "chat"

    def __init__(
        self,
        base_url: str,
        model: str,
        prompt: PromptName = PromptName.HARMBENCH_CHAT,
        api_key_variable: str = "OPENAI_API_KEY",
        timeout_seconds: float = 60.0,
        retries: int = 4,
        concurrency: int = 8,
    ) -> None:
        """Name the server; nothing is sent yet.

        Args:
            base_url: Such as ``http://127.0.0.1:8000/v1``.
            model: Model name as the server knows it.
            prompt: The question asked.
            api_key_variable: Environment variable with the key; none is sent where it is unset.
            timeout_seconds: For connecting, and for each read.
            retries: Further tries of one request after a refused connection, a timeout or a status that may pass.
            concurrency: Requests at a time.

        Raises:
            UsageError: The address is not http or https.
        """
        if not is_server_address(base_url):
            raise UsageError(
                f"judge server {without_credentials(base_url)!r}: expected http://HOST:PORT/v1 or https://"
            )
        self.base_url = base_url.rstrip("/")
        self.shown_url = without_credentials(self.base_url)
        self.model = model
        self.prompt = prompt
        self.api_key_variable = api_key_variable
        self.timeout_seconds = timeout_seconds
        self.retries = retries
        self.concurrency = concurrency

    @property
    def version(self) -> str:
        """Model and prompt; where the server runs does not count."""
        return f"{self.model} {self.prompt} {PROMPTS[self.prompt].digest}"

    def judge(self, cases: Sequence[JudgeCase], label: str) -> list[Verdict]:
        """Ask about every case, several at a time.

        Raises:
            StageError: The server cannot be reached, or refuses requests for good (a wrong key, an unknown model).
        """
        import openai

        with (
            openai.OpenAI(
                base_url=self.base_url,
                api_key=os.environ.get(self.api_key_variable) or "none",
                timeout=self.timeout_seconds,
                max_retries=self.retries,
                http_client=openai.DefaultHttpxClient(trust_env=not is_here(self.base_url)),
            ) as client,
            ThreadPoolExecutor(self.concurrency) as pool,
        ):
            futures = [pool.submit(self._ask, client, case) for case in cases]
            try:
                return [future.result() for future in futures]
            except openai.APIStatusError as error:
                pool.shutdown(cancel_futures=True)
                if error.status_code in RETRIED_STATUS or error.status_code >= 500:
                    raise self._silent(f"status {error.status_code}") from None
                raise StageError(
                    f"judge server {self.shown_url} answered {error.status_code} for model {self.model!r}; check the "
                    f"model's name and the key in {self.api_key_variable}"
                ) from None
            except openai.APIConnectionError as error:
                pool.shutdown(cancel_futures=True)
                raise self._silent(type(error.__cause__ or error).__name__) from None

    def _ask(self, client: "openai.OpenAI", case: JudgeCase) -> Verdict:
        """One question; the body is read as it came, since servers differ in what they leave out."""
        response = client.chat.completions.with_raw_response.create(
            model=self.model,
            messages=[{"role": "user", "content": PROMPTS[self.prompt].render(case)}],
            temperature=0,
            max_tokens=4,
        )
        try:
            answer = json.loads(response.content)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError):
            return Verdict(None, None, "the judge's reply is not a chat completion")
        if not isinstance(answer, str):
            return Verdict(None, None, "the judge's reply has no text")
        return read_yes_no(answer)

    def _silent(self, problem: str) -> StageError:
        return StageError(
            f"judge server {self.shown_url} gave no answer in {self.retries + 1} tries (last: {problem}); start it, or "
            f"set evaluation.judge to another judge"
        )
