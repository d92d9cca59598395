"""How much of a server's answer is read, and for how long, whatever it sends."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx2

logger = logging.getLogger(__name__)

BUSY = (429, 503)
MAX_BODY_BYTES = 8_000_000
"""1,000 tokens with 20 log-probabilities each are about 2 MB."""


class _Beginning(httpx2.AsyncByteStream):
    """The first bytes of a body; what follows is never read, and JSON that is cut off is no answer."""

    def __init__(self, whole: httpx2.AsyncByteStream) -> None:
        self._whole = whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_BODY_BYTES
        async for part in self._whole:
            yield part[:left]
            left -= len(part)
            if left <= 0:
                return

    async def aclose(self) -> None:
        await self._whole.aclose()


async def read_no_more(response: httpx2.Response) -> None:
    """Cut the body at ``MAX_BODY_BYTES``; a compressed one, which nobody asked for, stays compressed."""
    response.headers.pop("content-encoding", None)
    response.headers["content-type"] = "application/json"  # the server's own may name any codec of Python for its text
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Beginning(response.stream)


class PunctualClient(httpx2.AsyncClient):
    """A client whose requests take no longer than ``seconds`` each, and that says when a server asks it to wait."""

    def __init__(self, seconds: float, **settings: Any) -> None:
        """Name the limit; the other settings are those of ``httpx2.AsyncClient``."""
        super().__init__(event_hooks={"response": [read_no_more]}, follow_redirects=False, **settings)
        self._seconds = seconds
        self._said_to_wait = False

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """One try, with all of its answer.

        Raises:
            httpx2.ReadTimeout: It took too long; httpx itself counts anew with each byte, also of the headers.
        """
        try:
            async with asyncio.timeout(self._seconds):
                response = await super().send(request, **how)
        except TimeoutError:
            raise httpx2.ReadTimeout("the whole answer took too long", request=request) from None
        wait = response.headers.get("retry-after", "")
        if response.status_code in BUSY and wait.isdecimal() and not self._said_to_wait:
            self._said_to_wait = True
            logger.warning("the server at %s is busy and asks to wait %d s", request.url.host, int(wait[:6]))
        return response
