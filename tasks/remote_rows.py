"""Rows from an object store, copied once into data/raw, where DVC watches them (``ratchet import-rows``)."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.credentials import without_credentials
from evalsuite.core.errors import RatchetError, StageError, UsageError
from evalsuite.core.files import atomic_path, read_json, sha256_file, write_json
from evalsuite.core.yaml_mistakes import printable
from evalsuite.network.network_errors import said_by
from tasks.paths import ArtifactPaths

RAW = Path("data/raw")
ORIGINS = RAW / ".origins.json"
"""Where each fetched file came from; hidden, so that no folder of rows takes it for rows."""
CHUNK_BYTES = 1 << 20


class Fetched(NamedTuple):
    """One file."""

    name: str
    """From the project's root."""
    url: str
    """Without credentials."""
    size: int
    """Bytes."""
    sha256: str


def import_rows(url: str, paths: ArtifactPaths, replace: bool = False) -> list[Fetched]:
    """Copy a file, or all that a pattern matches, into data/raw, and note where each came from.

    Args:
        url: Such as ``s3://bucket/rows/*.parquet``; any protocol of fsspec.
        paths: The project.
        replace: Write over files that are there with other bytes.

    Raises:
        UsageError: The protocol is unknown or its package is missing, nothing is there, or a file is there already.
        StageError: The store does not answer, or a file came in short.
    """
    store, files = _found(url)
    fetched = []
    for file in files:
        fetched.append(_copied(store, file, paths.root, replace))
        _note(fetched[-1], paths.root)
    return fetched


def _found(url: str) -> tuple[Any, list[str]]:
    import fsspec  # type: ignore[import-untyped]

    shown = without_credentials(url)
    if "://" not in url:
        raise UsageError(f"{shown} is no address; expected one such as s3://bucket/rows.jsonl: copy a file with cp")
    protocol = url.partition("://")[0].rpartition("::")[2]
    try:
        store, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise UsageError(
            f"{shown}: {error}; `python -m pip install` what it names, then run the command again"
        ) from None
    except ValueError as error:
        raise UsageError(f"{shown}: fsspec knows no protocol {protocol!r} ({error})") from None
    files = _asked(lambda: sorted(store.glob(path)) if any(mark in path for mark in "*?[") else [path], shown)
    found = [file for file in files if _asked(lambda file=file: store.isfile(file), shown)]  # type: ignore[misc]
    if not found:
        raise UsageError(f"{shown}: no such file; check the address, and that these credentials may read it")
    names = [file.rpartition("/")[2] for file in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{shown} matches two files called {twice}; fetch one folder at a time")
    return store, found


def _copied(store: Any, file: str, root: Path, replace: bool) -> Fetched:
    url = without_credentials(store.unstrip_protocol(file))
    name = file.rpartition("/")[2]
    target = root / RAW / name
    if name.startswith(".") or not name.isprintable():
        raise UsageError(f"{printable(url)}: a file of rows may not have such a name; give it another one there")
    digest = hashlib.sha256()
    with atomic_path(target) as temporary:
        size = _asked(lambda: _download(store, file, temporary, digest), url)
        expected = _asked(lambda: store.size(file), url)
        if expected is not None and size != expected:
            raise StageError(f"{url} has {expected:,} bytes and {size:,} came; run the same command again")
        if target.is_file() and not replace and sha256_file(target) != digest.hexdigest():
            raise UsageError(
                f"{RAW / name} is there with other bytes than {url}; add --replace to write over it, or move it away"
            )
    return Fetched((RAW / name).as_posix(), url, size, digest.hexdigest())


def _download(store: Any, file: str, target: Path, digest: Any) -> int:
    size = 0
    with store.open(file, "rb") as source, target.open("wb") as stream:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            size += stream.write(chunk)
    return size


def _note(fetched: Fetched, root: Path) -> None:
    try:
        known = read_json(root / ORIGINS, "ratchet import-rows")
    except RatchetError:
        known = {}
    entry = {"url": fetched.url, "size": fetched.size, "sha256": fetched.sha256}
    write_json(root / ORIGINS, dict(sorted({**known, fetched.name: entry}.items())))


def _asked(question: Callable[[], Any], shown: str) -> Any:
    """What a store answers; stores raise errors of many packages."""
    try:
        return question()
    except RatchetError:
        raise
    except FileNotFoundError:
        raise UsageError(f"{shown}: no such file; check the address") from None
    except Exception as error:
        raise StageError(
            f"{shown} cannot be read ({without_credentials(said_by(error))}); check the network, the address and the "
            "credentials that its package takes from the environment"
        ) from None
