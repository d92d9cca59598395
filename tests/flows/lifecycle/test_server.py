"""A Prefect server that the user named and that is not there, or is none."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.core.credentials import without_credentials
from evalsuite.core.errors import ExitCode, RatchetError, StageError, UsageError
from flows.lifecycle.server import check_reachable, prefect_server


class Page(BaseHTTPRequestHandler):
    """Answers with its first path component as the status."""

    def do_GET(self) -> None:
        status = int(self.path.split("/")[1])
        body = b"<html>not a version</html>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def refused(url: str, monkeypatch: pytest.MonkeyPatch) -> RatchetError:
    monkeypatch.setenv("PREFECT_API_URL", url)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(RatchetError) as raised:
        check_reachable(url)
    assert "PREFECT_API_URL in the environment" in str(raised.value)
    assert "`unset PREFECT_API_URL`" in str(raised.value)
    return raised.value


def test_an_address_where_nothing_answers_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused("http://ada:secret@127.0.0.1:9/api?token=secret", monkeypatch)
    assert isinstance(error, StageError)
    assert error.exit_code is ExitCode.STAGE
    assert "http://127.0.0.1:9/api (" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("url", ["nonsense", "ftp://x/api"])
def test_what_is_no_address_is_a_usage_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(refused(url, monkeypatch), UsageError)


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (200, UsageError, "Prefect's address ends in /api"),
        (404, UsageError, "HTTP 404; Prefect's address ends in /api"),
        (401, UsageError, "give PREFECT_API_KEY"),
        (502, StageError, "HTTP 502"),
    ],
)
def test_what_is_no_server_of_prefect_is_named_as_such(
    page: str, status: int, kind: type[RatchetError], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refused(f"http://{page}/{status}", monkeypatch)
    assert type(error) is kind
    assert told in str(error)


def test_an_address_from_a_profile_is_overridden_for_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    named = temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"})
    refusal = pytest.raises(StageError, match=r"profile or settings file.*`export PREFECT_API_URL=`")
    with named, refusal, prefect_server(tmp_path / "log", schedules=False):
        pass


@given(user=st.text(st.characters(exclude_characters="@")), host=st.sampled_from(["a.b:1", "[::1]:2"]))
def test_nothing_before_the_host_is_ever_shown(user: str, host: str) -> None:
    shown = without_credentials(f"https://ada:{'S' * 9}{user}@{host}/api?token={'S' * 9}")
    assert shown in (f"https://{host}/api", "https://...")
