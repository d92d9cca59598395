"""Files that are complete or absent, and their hashes."""

import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from evalsuite.core.errors import MissingArtifactError, UsageError

Model = TypeVar("Model", bound=BaseModel)
PRIVATE = 0o600
LONE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""What a text with half a surrogate pair has in it, and one with whole pairs may."""


def check_target(path: Path) -> None:
    """Refuse a place where no file can be written, before anything is computed for it.

    Raises:
        UsageError: A folder, a device or a pipe is there, or a part of the path is a file.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected the name of a file to write; name a file in it")
    if _is_special(path):  # the rename would put a file in its place; of /dev/null, for the whole machine
        raise UsageError(f"{path} is no regular file, and no file can take its place; name another file")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise UsageError(f"{path} cannot be written: {above} is a file; name a file in a folder")


def _is_special(path: Path) -> bool:
    """Whether a device, a pipe or a socket is there, or a link of /dev to what this process has open."""
    return os.path.realpath(path.parent) == "/dev" or (path.exists() and not path.is_file())


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` that replaces it only when the block succeeds.

    The bytes are fsynced before the rename, so a crash leaves the old file or the new one, never a part. Who may read
    and write it is for the umask to say, as with any other program.
    """
    check_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, mode = _new_sibling(path)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
            os.fchmod(stream.fileno(), mode)  # a library may have put a private file of its own in this place
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _new_sibling(path: Path) -> tuple[Path, int]:
    """An empty file beside ``path``, and the permissions that the user's umask or the folder's ACL gave it."""
    while True:
        # The name of a file may take 255 bytes, and all of them may be in use.
        name = f".{os.fsdecode(os.fsencode(path.name)[:200])}.{secrets.token_hex(4)}.tmp"
        try:
            descriptor = os.open(path.with_name(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            continue
        try:
            return path.with_name(name), stat.S_IMODE(os.fstat(descriptor).st_mode)
        finally:
            os.close(descriptor)


def undo_private(folder: Path) -> None:
    """Give the files in ``folder`` that a library made private the permissions that any new file has.

    safetensors (0.8) writes every file as 0600 whatever the umask is, so that no colleague could read the weights.
    """
    probe, mode = _new_sibling(folder / "mode")
    probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) == PRIVATE:
            path.chmod(mode)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that ``path`` is complete or absent."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: BaseModel | dict[str, Any]) -> None:
    """Write a model or mapping as indented JSON; NaN and infinity are refused with ``ValueError``."""
    data = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    write_text(path, json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object per line so that ``path`` is complete or absent."""
    write_text(path, "".join(json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n" for row in rows))


def parse_json(text: str | bytes) -> Any:
    r"""``json.loads`` of UTF-8, with or without a byte order mark, whose texts can all be written again.

    JSON may spell half of a surrogate pair (``\ud800``); no file, hash or tokenizer takes a text with one.

    Raises:
        json.JSONDecodeError: Not JSON, not UTF-8, such a text, or a key that appears twice.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise json.JSONDecodeError(f"not UTF-8 at byte {error.start}", "", 0) from None
    value = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_each_key_once)
    # Most texts have no such escape, and say so at once.
    escape = LONE.search(text) if "\\u" in text or not text.isascii() else None
    if escape is not None:
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            half = f"\\u{ord(error.object[error.start]):04x}"
            raise json.JSONDecodeError(
                f"{half} is half of a surrogate pair, which is not valid text", text, escape.start()
            ) from None
    return value


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise json.JSONDecodeError(f"key {twice[:60]!r} appears twice", "", 0)
    return found


def read_json(path: Path, made_by: str) -> Any:
    """Parse a JSON file.

    Args:
        path: The file.
        made_by: The command that makes it, for the error message.

    Raises:
        MissingArtifactError: The file is absent.
        UsageError: The file is not JSON.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}; make it again with `{made_by}`") from None
    except FileNotFoundError:
        raise MissingArtifactError(f"no file at {path}; make it with `{made_by}`") from None
    except (IsADirectoryError, NotADirectoryError):
        raise UsageError(f"{path} is a folder or below a file, expected a file; remove it, then `{made_by}`") from None
    try:
        return parse_json(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line, reason = getattr(error, "lineno", 1), getattr(error, "msg", "nested too deeply")
        raise UsageError(f"{path}:{line}: not JSON ({reason}); make it again with `{made_by}`") from None


def read_model(path: Path, kind: type[Model], made_by: str) -> Model:
    """Parse and check a JSON file of schema version 1.

    Raises:
        MissingArtifactError: The file is absent.
        UsageError: It is not JSON, has another schema version, or a field is not as it must be.
    """
    data = read_json(path, made_by)
    found = data.get("schema_version") if isinstance(data, dict) else None
    if found != 1:
        raise UsageError(f"{path} has schema_version {found!r}, this version reads 1; make it again with `{made_by}`")
    return checked(data, kind, str(path), made_by)


def checked(data: Any, kind: type[Model], where: str, made_by: str) -> Model:
    """``data`` as a model; a field that is not as it must be is a UsageError that names it."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{where}: {field}: {reason}; make it again with `{made_by}`") from None


def numbered_objects(
    path: Path, expected: str = "a JSON object", remedy: str = ""
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and JSON object of each line; blank lines, CRLF and a byte order mark are let through.

    Raises:
        UsageError: A line is something else; ends with ``remedy``.
    """
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deeply")
            raise UsageError(f"{path}:{number}: not JSON ({reason}){remedy}") from None
        if not isinstance(row, dict):
            raise UsageError(f"{path}:{number}: {type(row).__name__}, expected {expected}{remedy}")
        yield number, row


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Hex sha256 of a value's canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
