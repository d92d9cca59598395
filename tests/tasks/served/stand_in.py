"""A small OpenAI-compatible server on this machine, for tests of what asks one."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """What the server sends back."""

    body: str | bytes
    status: int = 200
    headers: Mapping[str, str] = {}
    pause_seconds: float = 0.0
    """Before each byte."""


class StandIn(NamedTuple):
    """The server, and what it was asked."""

    url: str
    seen: list[dict[str, Any]]
    """The body of each request, with ``path`` and ``key`` (the header Authorization)."""

    @property
    def questions(self) -> list[str]:
        """The last turn of each request."""
        return [request["messages"][-1]["content"] for request in self.seen]


@contextmanager
def serving(reply: Callable[[str, int], Reply | str]) -> Iterator[StandIn]:
    """A server that answers with what ``reply`` makes of the last turn and of how many requests there were."""
    seen: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                seen.append({**body, "path": self.path, "key": self.headers.get("Authorization")})
                number = len(seen)
            made = reply(body["messages"][-1]["content"], number)
            made = Reply(says(made)) if isinstance(made, str) else made
            content = made.body.encode("utf-8", "surrogatepass") if isinstance(made.body, str) else made.body
            with suppress(ConnectionError):  # who asked may read no further
                self.send_response(made.status)
                for name, value in {"Content-Length": str(len(content)), **made.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                for part in [content] if made.pause_seconds == 0.0 else (bytes([byte]) for byte in content):
                    time.sleep(made.pause_seconds)
                    self.wfile.write(part)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield StandIn(f"http://127.0.0.1:{http.server_address[1]}/v1", seen)
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def says(text: str, **choice: Any) -> str:
    """A chat completion with this text."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}, **choice}]})
