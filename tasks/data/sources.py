"""Rows out of a file, one by one, so that a look at the first of a huge file takes no time.

Read are JSON lines, a JSON array and JSON objects over several lines, gzipped or not.
"""

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from evalsuite.core.errors import UsageError
from tasks.data.file_kinds import Kind, kind_of_file

HEAD_BYTES = 1 << 18
CHUNK_BYTES = 1 << 16
GZIP = b"\x1f\x8b"
CUT_CHARACTERS = 16
"""So near to the end of what was read so far, a mistake may be a value that goes on."""


class Entry(NamedTuple):
    """The bytes of one row."""

    source: str
    """``file:line``, or ``file#entry`` where rows are not lines; both counted from 1."""
    raw: bytes | None
    """None where it is too long."""
    size: int
    """Bytes."""


def read_entries(path: Path, name: str, max_bytes: int | None) -> Iterator[Entry]:
    """Yield the rows of a file; blank lines are passed over.

    Args:
        path: The file.
        name: Its name in messages.
        max_bytes: Longer rows come without their bytes; no limit when None.

    Raises:
        UsageError: The file has another format, or breaks off; names the format and what to do.
    """
    with path.open("rb") as plain:
        zipped = plain.read(len(GZIP)) == GZIP
        plain.seek(0)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if zipped else plain
        try:
            head = stream.read(HEAD_BYTES)
            stream.seek(0)
            kind = kind_of_file(head, len(head) < HEAD_BYTES, name, zipped)
            if kind is Kind.LINES:
                yield from _lines(stream, name, max_bytes)
            else:
                yield from _values(_ValueReader(stream, name, kind), name, max_bytes)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UsageError(
                f"prepare.sources: {name} is a damaged gzip file ({error}); restore it from its origin"
            ) from None


def _lines(stream: BinaryIO, name: str, max_bytes: int | None) -> Iterator[Entry]:
    number = 0
    while raw := stream.readline(-1 if max_bytes is None else max_bytes + 1):
        number += 1
        source, size = f"{name}:{number}", len(raw)
        if max_bytes is not None and size > max_bytes:
            while not raw.endswith(b"\n") and (raw := stream.readline(CHUNK_BYTES)):
                size += len(raw)
            yield Entry(source, None, size)
        elif raw.strip():
            yield Entry(source, raw, size)


def _values(reader: "_ValueReader", name: str, max_bytes: int | None) -> Iterator[Entry]:
    for number, text in enumerate(reader.values(), 1):
        raw = text.encode()
        fits = max_bytes is None or len(raw) <= max_bytes
        yield Entry(f"{name}#{number}", raw if fits else None, len(raw))


class _ValueReader:
    """Reads the texts of JSON values, with no more of the file in memory than the longest value needs."""

    def __init__(self, stream: BinaryIO, name: str, kind: Kind) -> None:
        self._stream = stream
        self._name = name
        self._kind = kind
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text = ""
        self._at = 0
        self._ended = False
        self._number = 0

    def values(self) -> Iterator[str]:
        """Yield each value's text.

        Raises:
            UsageError: They break off, are no JSON or UTF-8, or something follows the array.
        """
        array = self._kind is Kind.ARRAY
        goes_on = bool(self._next())
        if array:
            self._at += 1
            goes_on = not self._took("]")
        while goes_on:
            self._next()
            self._number += 1
            end = self._end()
            value, self._at = self._text[self._at : end], end
            yield value
            if not array:
                goes_on = bool(self._next())
            elif self._took("]"):
                goes_on = False
            elif not self._took(","):
                raise self._broken("a comma or ] is missing after it")
        if self._next():
            raise self._broken("something follows the end of the array")

    def _took(self, mark: str) -> bool:
        """Whether ``mark`` comes next, which is then passed."""
        found = self._next() == mark
        self._at += found
        return found

    def _next(self) -> str:
        """The next character that is not white space, "" at the file's end."""
        while True:
            found = re.compile(r"[^ \t\r\n]").search(self._text, self._at)
            if found is not None:
                self._at = found.start()
                return found[0]
            self._at = len(self._text)
            if self._ended:
                return ""
            self._more()

    def _more(self) -> None:
        """Read at least as much again as waits, so that a long value costs no more than twice its length."""
        raw = self._stream.read(max(CHUNK_BYTES, len(self._text) - self._at))
        self._ended = not raw
        try:
            self._text = self._text[self._at :] + self._decode(raw, final=self._ended)
        except UnicodeDecodeError:
            raise self._broken("not UTF-8 there or soon after it") from None
        self._at = 0

    def _end(self) -> int:
        """Where the value ends that begins here."""
        while True:
            try:
                _, end = json.JSONDecoder().raw_decode(self._text, self._at)
            except RecursionError:
                raise self._broken("nested too deeply") from None
            except ValueError as error:
                message = str(getattr(error, "msg", error))
                near = getattr(error, "pos", 0) > len(self._text) - CUT_CHARACTERS
                if self._ended or not (near or message.startswith("Unterminated string")):
                    raise self._broken(f"not JSON ({message})") from None
            else:
                # A number may go on in what was not read yet.
                rest = self._text[end : end + CUT_CHARACTERS]
                if self._ended or len(rest) == CUT_CHARACTERS or rest.startswith((",", "]", " ", "\t", "\r", "\n")):
                    return end
            self._more()

    def _broken(self, why: str) -> UsageError:
        return UsageError(
            f"prepare.sources: {self._name} is {self._kind.value} and cannot be read at entry {max(self._number, 1)}: "
            f"{why}; fix it there, or write one object per line"
        )
