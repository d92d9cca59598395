"""Addresses of OpenAI-compatible servers: which are some, and whether a request to one leaves this machine."""

from urllib.parse import urlsplit

from evalsuite.network.local_network import is_loopback


def is_server_address(base_url: str) -> bool:
    """Whether it is http or https with a host, and a port where it has one, such as ``http://127.0.0.1:8000/v1``."""
    import httpx

    try:
        url = httpx.URL(base_url)
        return url.scheme in ("http", "https") and bool(url.host) and urlsplit(base_url).port != 0
    except (httpx.InvalidURL, ValueError):
        return False


def is_here(base_url: str) -> bool:
    """Whether the server runs on this machine."""
    return is_loopback(urlsplit(base_url).hostname or "")


def travels_unencrypted(base_url: str) -> bool:
    """Whether others can read what is sent there: plain http to another machine."""
    return urlsplit(base_url).scheme == "http" and not is_here(base_url)
