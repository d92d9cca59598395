"""Text for terminals and pipes that cannot encode every sign."""

import codecs
import io
import os
import sys
from pathlib import Path
from typing import Any

ON_STREAMS = "ratchet-terminal"
"""The error handler of stdout and stderr."""
PLAIN = {
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "--",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{INFINITY}": "inf",
    "\N{PLUS-MINUS SIGN}": "+/-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{ALMOST EQUAL TO}": "~",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{MIDDLE DOT}": "*",
    "\N{MATHEMATICAL LEFT ANGLE BRACKET}": "<",
    "\N{MATHEMATICAL RIGHT ANGLE BRACKET}": ">",
}
"""Signs that say the same in ASCII. No mark of a verdict: a user's text may hold one, and stands escaped."""


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    here = error.object[error.start : error.end]
    text = "".join(PLAIN.get(char) or char.encode("ascii", "backslashreplace").decode("ascii") for char in here)
    return text, error.end


codecs.register_error(ON_STREAMS, _plain)


class _Pipe(io.FileIO):
    """A stream that nobody has to read: once the reader is gone, the rest goes nowhere."""

    def write(self, data: Any, /) -> int:
        """As ``FileIO.write``; a closed pipe is not an error, and any other error is raised once."""
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if not isinstance(error, BrokenPipeError):
                raise
            return len(data)


def make_streams_safe() -> None:
    """Let neither a character nor a reader that is gone break what is printed to stdout and stderr.

    Signs that the encoding lacks become what says the same in ASCII, every other character its escape: a question mark
    would be a verdict. After ``| head`` has read enough, the command still does all that it does, with its exit code.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  lives as long as we do
        if not isinstance(stream, io.TextIOWrapper):
            continue
        stream.reconfigure(errors=ON_STREAMS)
        raw = getattr(stream.buffer, "raw", stream.buffer)  # without a buffer under PYTHONUNBUFFERED
        if type(stream) is io.TextIOWrapper and type(raw) is io.FileIO:
            stream.flush()
            pipe = io.BufferedWriter(_Pipe(raw.fileno(), "w", closefd=False))
            at_once = stream.line_buffering or raw is stream.buffer
            setattr(sys, name, io.TextIOWrapper(pipe, stream.encoding, ON_STREAMS, line_buffering=at_once))


def printable(text: str) -> str:
    """``text`` as stdout will show it, for a table that has to know how wide it is."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, ON_STREAMS).decode(encoding)


def mark(sign: str, letters: str) -> str:
    """``sign`` where stdout has it, else ``letters``."""
    try:
        sign.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return letters
    return sign


def own_encoding() -> None:
    """Start this process anew in Python's UTF-8 mode where the locale has another encoding; the terminal keeps its own.

    DVC and other libraries read and write files in the locale's encoding, and a project's folder, remote or data may
    have any letter in it. Call it first of all: nothing survives it.
    """
    settled = sys.flags.utf8_mode or sys.flags.ignore_environment
    if settled or sys.getfilesystemencoding() == _preferred() == "utf-8":
        return
    named = os.environ.get("PYTHONIOENCODING") or getattr(sys.stdout, "encoding", None) or "utf-8"
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": named}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606  ourselves


def _preferred() -> str:
    import locale

    return codecs.lookup(locale.getpreferredencoding(False)).name
