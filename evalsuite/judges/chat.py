"""A judge behind an OpenAI-compatible server (vLLM, SGLang, TGI, ``transformers serve`` or a hosted API)."""

import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from evalsuite.core.errors import StageError, UsageError
from evalsuite.judges.base import JudgeCase, Verdict
from evalsuite.judges.prompts import PROMPTS, PromptName, read_yes_no
from evalsuite.network.local_network import is_loopback

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

RETRIED_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


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
        backoff_seconds: float = 1.0,
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
            backoff_seconds: Pause before the first retry; doubles with each, or what the server asks for in
                Retry-After.
            concurrency: Requests at a time.

        Raises:
            UsageError: The address is not http or https.
        """
        if not _is_address(base_url):
            raise UsageError(f"judge server {base_url!r}: expected http://HOST:PORT/v1 or https://")
        self.base_url = base_url.rstrip("/")
        self.model = model
        self.prompt = prompt
        self.api_key_variable = api_key_variable
        self.timeout_seconds = timeout_seconds
        self.retries = retries
        self.backoff_seconds = backoff_seconds
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
        import httpx

        key = os.environ.get(self.api_key_variable, "")
        local = is_loopback(httpx.URL(self.base_url).host)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with (
            httpx.Client(headers=headers, timeout=self.timeout_seconds, trust_env=not local) as client,
            ThreadPoolExecutor(self.concurrency) as pool,
        ):
            futures = [pool.submit(self._ask, client, case) for case in cases]
            try:
                return [future.result() for future in futures]
            except StageError:
                pool.shutdown(cancel_futures=True)
                raise

    def _ask(self, client: "httpx.Client", case: JudgeCase) -> Verdict:
        response = self._post(
            client,
            {
                "model": self.model,
                "messages": [{"role": "user", "content": PROMPTS[self.prompt].render(case)}],
                "temperature": 0,
                "max_tokens": 4,
            },
        )
        try:
            answer = response.json()["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError):
            return Verdict(None, None, "the judge's reply is not a chat completion")
        if not isinstance(answer, str):
            return Verdict(None, None, "the judge's reply has no text")
        return read_yes_no(answer)

    def _post(self, client: "httpx.Client", body: dict[str, Any]) -> "httpx.Response":
        import httpx

        url = f"{self.base_url}/chat/completions"
        for attempt in range(self.retries + 1):
            pause = self.backoff_seconds * 2**attempt
            try:
                response = client.post(url, json=body)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}"
            else:
                if response.is_success:
                    return response
                if response.status_code not in RETRIED_STATUS:
                    raise StageError(
                        f"judge server {self.base_url} answered {response.status_code} for model {self.model!r}; "
                        f"check the "
                        f"model's name and the key in {self.api_key_variable}"
                    )
                problem = f"status {response.status_code}"
                pause = _retry_after(response, pause)
            if attempt < self.retries:
                logger.info("judge server %s: %s, trying again in %.1f s", self.base_url, problem, pause)
                time.sleep(pause)
        raise StageError(
            f"judge server {self.base_url} gave no answer in {self.retries + 1} tries (last: {problem}); start it, or "
            f"set "
            f"evaluation.judge to another judge"
        )


def _is_address(base_url: str) -> bool:
    import httpx

    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def _retry_after(response: "httpx.Response", fallback: float) -> float:
    """Seconds that the server asks to wait, at most a minute."""
    try:
        return min(60.0, max(0.0, float(response.headers["Retry-After"])))
    except (KeyError, ValueError):
        return fallback
