"""Which addresses are a server's, and what leaves this machine for them."""

import pytest

from evalsuite.network.server_address import is_here, is_server_address, travels_unencrypted


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("HTTPS://gpu.example/v1", True),
        ("http://[::1]:8000/v1", True),
        ("", False),
        ("gpu.example/v1", False),
        ("127.0.0.1:8000", False),
        ("ftp://gpu.example/v1", False),
        ("http://", False),
        ("http://[::1", False),
        ("http://host:port/v1", False),
        ("http://host:0/v1", False),
        ("http://host:99999/v1", False),
    ],
)
def test_an_address_has_a_scheme_a_host_and_a_port_that_can_be_one(address: str, good: bool) -> None:
    assert is_server_address(address) is good


@pytest.mark.parametrize(
    ("address", "here", "unencrypted"),
    [
        ("http://127.0.0.1:8000/v1", True, False),
        ("http://localhost/v1", True, False),
        ("http://ann:127.0.0.1@gpu.example/v1", False, True),
        ("http://127.0.0.1.gpu.example/v1", False, True),
        ("HTTP://gpu.example/v1", False, True),
        ("https://gpu.example/v1", False, False),
        ("http://0.0.0.0:8000/v1", False, True),
    ],
)
def test_only_plain_http_to_another_machine_can_be_read_on_the_way(address: str, here: bool, unencrypted: bool) -> None:
    assert is_here(address) is here
    assert travels_unencrypted(address) is unencrypted
