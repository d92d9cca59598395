"""A hub of our own: the requests that huggingface_hub makes, answered from memory on the loopback interface."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CLOSED = "http://127.0.0.1:9"
"""A port at which nothing listens."""


def use_hub(monkeypatch: pytest.MonkeyPatch, cache: Path, endpoint: str = CLOSED) -> None:
    """Let huggingface_hub ask this endpoint and keep its files there."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@contextmanager
def serving_hub(repos: Mapping[str, Mapping[str, bytes]], refusal: tuple[int, str] | None = None) -> Iterator[str]:
    """Serve repositories at ``COMMIT``.

    Args:
        repos: Such as ``datasets/google/IFEval`` or ``models/a/b`` -> file name -> bytes.
        refusal: Status and X-Error-Code of every answer.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _answer(self, with_body: bool) -> None:
            if refusal is not None:
                return self._send(refusal[0], b"{}", {"X-Error-Code": refusal[1]}, with_body)
            path = unquote(urlsplit(self.path).path)
            for repo, files in repos.items():
                name = repo.removeprefix("models/")
                if path == f"/api/{repo}/revision/{COMMIT}":
                    info = {"id": name.split("/", 1)[-1], "siblings": [{"rfilename": each} for each in files]}
                    return self._send(200, json.dumps(info | {"sha": COMMIT}).encode(), {}, with_body)
                if path == f"/api/{repo}/tree/{COMMIT}":
                    tree = [
                        {"type": "file", "path": each, "size": len(data), "oid": _oid(data)}
                        for each, data in files.items()
                    ]
                    return self._send(200, json.dumps(tree).encode(), {}, with_body)
                wanted = path.removeprefix(f"/{name}/resolve/{COMMIT}/")
                if wanted in files:
                    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{_oid(files[wanted])}"'}
                    return self._send(200, files[wanted], headers, with_body)
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, with_body)

        def _send(self, status: int, body: bytes, headers: Mapping[str, str], with_body: bool) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _oid(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
