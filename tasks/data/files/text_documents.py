"""Plain texts: a file is one document."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from tasks.data.files.entries import Entry
from tasks.data.files.foreign import not_utf8


def document_entries(stream: BinaryIO, name: str, max_bytes: int | None) -> Iterator[Entry]:
    """Yield the whole file as the row ``{"text": ...}``; nothing where it is empty."""
    raw = stream.read() if max_bytes is None else stream.read(max_bytes + 1)
    size = len(raw)
    if max_bytes is not None and size > max_bytes:
        while chunk := stream.read(max_bytes):
            size += len(chunk)
        yield Entry(f"{name}#1", None, size)
        return
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Entry(f"{name}#1", raw, size, not_utf8(raw, error))
        return
    if text.strip():
        yield Entry(f"{name}#1", json.dumps({"text": text}, ensure_ascii=False).encode(), size)
