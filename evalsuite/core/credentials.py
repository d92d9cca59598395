"""Keys and passwords in settings, which nobody may find in a report or in a registry that git keeps."""

import re
from collections.abc import Mapping
from typing import Any

LEFT_OUT = "(left out)"
_SECRET = re.compile(r"(?:^|_)(?:api_?key|password|passwd|secret|(?:access|auth|api|hf|bearer)_token)$", re.IGNORECASE)
_ARGUMENT = re.compile(r"(--[\w-]*(?:key|password|secret|token))=.+", re.IGNORECASE)


def without_secrets(value: Any) -> Any:
    """Settings as they may be shown: no credentials in addresses, arguments, or under keys such as ``api_key``."""
    if isinstance(value, Mapping):
        return {
            key: LEFT_OUT if isinstance(inner, str) and _SECRET.search(str(key)) else without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if value.startswith(("http://", "https://")):
        return without_credentials(value)
    return _ARGUMENT.sub(rf"\1={LEFT_OUT}", value)


def without_credentials(url: str) -> str:
    """Scheme, host, port and path of an address; a name, a password or a token in it is left out."""
    before, separator, rest = url.partition("://")
    scheme = before + separator if separator else ""
    place, *query = re.split("[?#]", rest if separator else before, maxsplit=1)
    # A password that is not quoted as it should be may hold any of these signs.
    return scheme + ("..." if query and "@" in query[0] else place.rpartition("@")[2])
