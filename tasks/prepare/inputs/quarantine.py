"""Bad rows as they were, with place and reason, so that they can be corrected and put back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tasks.data.formats import BadRow

QUARANTINE = "quarantine.jsonl"


class Quarantine:
    """A file that is there once it has a row."""

    def __init__(self, path: Path) -> None:
        """Write to ``path``, which is not made before the first row."""
        self.path = path
        self._stream: TextIO | None = None

    def add(self, bad: BadRow) -> None:
        r"""Write a row; each byte that is no UTF-8 is written as ``\xNN``."""
        if self._stream is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("w", encoding="utf-8")
        row = None if bad.raw is None else bad.raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
        line = {"source": bad.source, "reason": bad.reason, "row": row}
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Finish the file."""
        if self._stream is not None:
            self._stream.close()


@contextmanager
def quarantine(path: Path) -> Iterator[Quarantine]:
    """A new one in place of an earlier."""
    path.unlink(missing_ok=True)
    kept = Quarantine(path)
    try:
        yield kept
    finally:
        kept.close()
