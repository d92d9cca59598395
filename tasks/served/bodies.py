"""How much of a server's answer is read, and for how long, whatever it sends."""

import time
from collections.abc import AsyncIterator

import httpx2

MAX_BODY_BYTES = 8_000_000
"""1,000 tokens with 20 log-probabilities each are about 2 MB."""


class _Beginning(httpx2.AsyncByteStream):
    """The first bytes of a body; what follows is never read, and JSON that is cut off is no answer."""

    def __init__(self, whole: httpx2.AsyncByteStream, request: httpx2.Request) -> None:
        self._whole = whole
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_BODY_BYTES
        end = time.monotonic() + self._request.extensions["timeout"]["read"]
        async for part in self._whole:
            yield part[:left]
            left -= len(part)
            if left <= 0:
                return
            if time.monotonic() > end:  # httpx counts anew with each byte
                raise httpx2.ReadTimeout("the whole answer took too long", request=self._request)

    async def aclose(self) -> None:
        await self._whole.aclose()


async def read_no_more(response: httpx2.Response) -> None:
    """Cut the body at ``MAX_BODY_BYTES``; a compressed one, which nobody asked for, stays compressed."""
    response.headers.pop("content-encoding", None)
    response.headers["content-type"] = "application/json"  # the server's own may name any codec of Python for its text
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Beginning(response.stream, response.request)
