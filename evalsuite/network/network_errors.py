"""Whether an error came from the network, the disk or a permission, and what helps against it."""

import errno
import socket

NETWORK_TYPES = frozenset(
    {"TransportError", "ConnectionError", "RequestException", "HfHubHTTPError", "LocalEntryNotFoundError"}
)
"""Names of classes of httpx, requests and huggingface_hub, which need not be imported to know them."""
NETWORK_NUMBERS = frozenset(
    {errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EHOSTUNREACH, errno.ENETUNREACH}
    | {errno.ETIMEDOUT, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EPIPE}
)
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_RIGHT = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
SAID = ("couldn't connect to", "couldn't reach", "cannot find an appropriate cached snapshot", "offline mode")
"""How transformers and datasets begin a bare OSError whose cause is the network."""
SQLITE_SAID = ("disk i/o error", "database or disk is full", "unable to open database file", "readonly database")
"""How SQLite, which DVC, MLflow and Prefect keep their state in, says that the disk is the trouble."""
LONGEST = 200


def is_network_error(error: BaseException) -> bool:
    """Whether a server could not be reached; by the error itself, or by what it was raised from."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        if isinstance(each, ConnectionError | TimeoutError | socket.gaierror):
            return True
        if isinstance(each, OSError) and each.errno in NETWORK_NUMBERS:
            return True
        if any(kind.__name__ in NETWORK_TYPES for kind in type(each).__mro__):
            return True
        if isinstance(each, OSError) and any(words in str(each).lower().replace("\u2019", "'") for words in SAID):
            return True
        each = each.__cause__ or each.__context__
    return False


def is_disk_error(error: BaseException) -> bool:
    """Whether SQLite could not use the disk; it raises no OSError, and SQLAlchemy wraps it under the same name."""
    said = str(error).lower()
    return type(error).__name__ == "OperationalError" and any(words in said for words in SQLITE_SAID)


def said_by(error: BaseException) -> str:
    """The kind of an error and its first line."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def remedy_for(error: Exception) -> str:
    """What the user can do about it, as the end of a sentence."""
    if is_network_error(error):
        return "a server that this stage needs does not answer: check the network and HF_ENDPOINT, HTTPS_PROXY, HF_HOME"
    if is_disk_error(error):
        return "a database on this disk cannot be used: free disk space, and check the disk and its permissions"
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EFBIG:
        return "raise the limit on the size of files (`ulimit -f`), or use another file system"
    if number in NO_ROOM:
        return "free disk space"
    if number in NO_RIGHT:
        return "change the permissions of that path"
    if isinstance(error, FileNotFoundError):
        return "put that file where the message says"
    return "correct what the message names"
