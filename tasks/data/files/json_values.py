"""Rows of JSON lines, of a JSON array and of JSON objects over several lines."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from evalsuite.core.errors import UsageError
from tasks.data.files.entries import Entry
from tasks.data.files.foreign import recoding_advice
from tasks.data.files.kinds import Container

CHUNK_BYTES = 1 << 16
CUT_CHARACTERS = 16
"""So near to the end of what was read so far, a mistake may be a value that goes on."""


def line_entries(stream: BinaryIO, name: str, max_bytes: int | None) -> Iterator[Entry]:
    """Yield each line that is not blank; lines of more than ``max_bytes`` come without their bytes."""
    number = 0
    while raw := stream.readline(-1 if max_bytes is None else max_bytes + 1):
        number += 1
        source, size = f"{name}:{number}", len(raw)
        if max_bytes is not None and size > max_bytes:
            yield Entry(source, None, size + rest_of_line(stream, raw))
        elif raw.strip():
            yield Entry(source, raw, size)


def rest_of_line(stream: BinaryIO, raw: bytes) -> int:
    """Pass over what follows ``raw`` on its line; returns how many bytes that was."""
    size = 0
    while not raw.endswith(b"\n") and (raw := stream.readline(CHUNK_BYTES)):
        size += len(raw)
    return size


def value_entries(stream: BinaryIO, name: str, container: Container, max_bytes: int | None) -> Iterator[Entry]:
    """Yield the values of an array, or those that stand one after the other.

    Raises:
        UsageError: They break off, are no JSON or UTF-8, or something follows the array.
    """
    for number, text in enumerate(ValueReader(stream, name, container).values(), 1):
        raw = text.encode()
        fits = max_bytes is None or len(raw) <= max_bytes
        problem = "" if fits else _lists(text)
        yield Entry(f"{name}#{number}", raw if fits else None, len(raw), problem)


def _lists(text: str) -> str:
    """Why a long object is no row, where it holds the rows as lists."""
    value = json.loads(text)
    if not isinstance(value, dict) or not value or not all(isinstance(inner, list) for inner in value.values()):
        return ""
    keys = ", ".join(repr(key[:40]) for key in list(value)[:8])
    return f"one object with lists of rows under {keys}: write each of their rows as an object of its own"


class ValueReader:
    """Reads the texts of JSON values, with no more of the file in memory than the longest value needs."""

    def __init__(self, stream: BinaryIO, name: str, container: Container) -> None:
        """Read an array (``Container.ARRAY``) or values one after the other; messages call the file ``name``."""
        self._stream = stream
        self._name = name
        self._container = container
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
        array = self._container is Container.ARRAY
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
            advice = recoding_advice(self._name)
            raise self._broken(f"not UTF-8 there or soon after it; {advice}") from None
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
            f"prepare.sources: {self._name} is {self._container.value} and cannot be read at entry "
            f"{max(self._number, 1)}: {why}; fix it there, or write one object per line"
        )
