"""Servers on this machine are asked directly, whatever proxy the environment names."""

import importlib.util
import ipaddress
import os
from collections.abc import Mapping, MutableMapping

LOCAL = ("127.0.0.1", "localhost", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
HELD = "RATCHET_HELD_"
"""Prefix of variables that are set aside in this process and restored for its stages."""


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def ask_local_servers_directly(environment: MutableMapping[str, str] | None = None) -> None:
    """Add this machine to the hosts without a proxy, for this process and all that it starts.

    Libraries differ in which of ``NO_PROXY`` and ``no_proxy`` they read, and an empty one hides the other: both get the
    user's entries and ours. Without a proxy nothing is set, since on some systems that would hide the system's own.

    Args:
        environment: The process's own when None.
    """
    here = os.environ if environment is None else environment
    if not any(here.get(name) for proxy in PROXIES for name in (proxy, proxy.upper())):
        return
    own = [part.strip() for name in ("no_proxy", "NO_PROXY") for part in here.get(name, "").split(",")]
    entries = list(dict.fromkeys(part for part in own if part))
    if "*" in entries:
        entries = ["*"]  # urllib knows it only alone
    else:
        entries += [host for host in LOCAL if host not in entries]
    here["no_proxy"] = here["NO_PROXY"] = ",".join(entries)


def hold_socks_proxies(environment: MutableMapping[str, str] | None = None) -> None:
    """Take SOCKS proxies out of an environment whose HTTP client fails on their mere presence.

    httpx builds the transport of every proxy at once, also for a server that it asks without one, and needs the package
    socksio for it. ``released`` gives them back to processes that go further than this machine.
    """
    here = os.environ if environment is None else environment
    if importlib.util.find_spec("socksio") is not None:
        return
    for proxy in PROXIES:
        for name in (proxy, proxy.upper()):
            if here.get(name, "").lower().startswith("socks"):
                here[HELD + name] = here.pop(name)


def released(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the proxies that were held."""
    return {name.removeprefix(HELD): value for name, value in environment.items()}
