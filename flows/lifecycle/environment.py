"""Settings that must stand before Prefect is imported: a private, local, ephemeral server."""

import os
from pathlib import Path
from urllib.parse import quote

from evalsuite.network.local_network import hold_socks_proxies

DEFAULTS = {
    # A first start creates its database; Prefect's own 20 s are not enough on a slow disk.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_API_HOST": "127.0.0.1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


def prepare_prefect(root: Path) -> None:
    """Give Prefect a home under the project unless the user named one, so that a run needs no account or server."""
    hold_socks_proxies()
    os.environ.setdefault("PREFECT_HOME", str((root / ".prefect").resolve()))
    home = Path(os.environ["PREFECT_HOME"])
    if "?" in str(home):
        # Prefect writes the path into a URL as it is, where a question mark ends it.
        home.mkdir(parents=True, exist_ok=True)
        place = f"sqlite+aiosqlite:///file:{quote(str(home / 'prefect.db'))}?uri=true"
        os.environ.setdefault("PREFECT_SERVER_DATABASE_CONNECTION_URL", place)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
