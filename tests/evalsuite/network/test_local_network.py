"""No proxy between us and a server on this machine, for any HTTP library; the user's own settings stay."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.network.local_network import (
    LOCAL,
    ask_local_servers_directly,
    hold_socks_proxies,
    is_loopback,
    released,
)

ROOT = Path(__file__).parents[3]
NOWHERE = "http://127.0.0.1:9"
VARIABLES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
ASK = {
    "urllib": "from urllib.request import urlopen; print(urlopen(URL, timeout=20).status)",
    "httpx": "import httpx; print(httpx.get(URL, timeout=20).status_code)",
    "requests": "import requests; print(requests.get(URL, timeout=20).status_code)",
    "child": "import subprocess; c = 'import httpx; print(httpx.get(%r).status_code)' % URL;"
    "subprocess.run([sys.executable, '-c', c], check=True)",
}


class Ok(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ok) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("library", ASK)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_each_http_library_asks_a_local_server_directly(port: int, library: str, host: str) -> None:
    code = (
        "import sys; from evalsuite.network.local_network import ask_local_servers_directly;"
        "ask_local_servers_directly();"
        f"URL = 'http://{host}:{port}/'; {ASK[library]}"
    )
    environment = {**dict.fromkeys(VARIABLES, NOWHERE), "NO_PROXY": "corp.example", "no_proxy": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("200", 0), done.stderr[-500:]


entries = st.lists(st.sampled_from(["corp.example", ".lan", "10.0.0.0/8", "127.0.0.1", "host:8080", "*", " ", ""]))


@given(lower=st.none() | entries, upper=st.none() | entries, variable=st.sampled_from(VARIABLES))
def test_the_users_entries_stay_in_both_spellings(
    lower: list[str] | None, upper: list[str] | None, variable: str
) -> None:
    environment = {variable: NOWHERE}
    environment |= {"no_proxy": ",".join(lower)} if lower is not None else {}
    environment |= {"NO_PROXY": ", ".join(upper)} if upper is not None else {}
    own = {entry.strip() for entry in [*(lower or []), *(upper or [])]} - {""}
    ask_local_servers_directly(environment)
    assert environment["no_proxy"] == environment["NO_PROXY"]
    found = environment["no_proxy"].split(",")
    assert len(found) == len(set(found))
    assert set(found) == ({"*"} if "*" in own else own | set(LOCAL))
    before = dict(environment)
    ask_local_servers_directly(environment)
    assert environment == before


@pytest.mark.parametrize("environment", [{}, {"no_proxy": "a"}, {"HTTP_PROXY": ""}])
def test_without_a_proxy_nothing_is_set(environment: dict[str, str]) -> None:
    before = dict(environment)
    ask_local_servers_directly(environment)
    assert environment == before


def test_a_socks_proxy_is_held_back_here_and_given_to_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    given_by_user = {"ALL_PROXY": "socks5://proxy:1080", "all_proxy": "SOCKS://p:1", "HTTP_PROXY": NOWHERE, "X": "1"}
    environment = dict(given_by_user)
    hold_socks_proxies(environment)
    assert {name for name in environment if name.lower().endswith("_proxy") and "HELD" not in name} == {"HTTP_PROXY"}
    assert released(environment) == given_by_user


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("LOCALHOST", True), ("10.0.0.1", False), ("a", False)],
)
def test_which_hosts_are_this_machine(host: str, local: bool) -> None:
    assert is_loopback(host) is local
