"""Tokenised rows on disk, found again by what they were made of."""

import hashlib
import importlib.metadata
import io
import json
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.core.files import atomic_path, sha256_file, sha256_json

logger = logging.getLogger(__name__)

KEPT_FILES = 8
DOCUMENT = -1
"""What a document has in place of the number of its spans."""
LIBRARIES = ("transformers", "tokenizers", "jinja2")


class TokenRow(NamedTuple):
    """One row, whole."""

    name: str
    input_ids: list[int]
    spans: tuple[tuple[int, int], ...] | None
    """Begin and end (exclusive) of the tokens with a loss; None for a document."""


def cache_file(
    folder: Path, rows: Path, tokenizer: Any, end_ids: Collection[int] | None, answers: str, sources: Sequence[Path]
) -> Path | None:
    """Where the rows' tokens are kept; None for a tokenizer whose content cannot be told (a slow one).

    The key is all that decides the tokens: the rows' bytes, the tokenizer with its chat template, where an answer ends,
    which answers are learnt, the code in ``sources`` and the libraries. No length limit: rows are kept whole and cut
    after.
    """
    if not getattr(tokenizer, "is_fast", False):
        return None
    made_of = {
        "rows": sha256_file(rows),
        "tokenizer": hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        "splits special tokens": tokenizer.split_special_tokens,
        "special tokens": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "template": tokenizer.chat_template,
        "ends": None if end_ids is None else sorted(end_ids),
        "answers": answers,
        "code": [sha256_file(source) for source in sources],
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    return folder / f"{sha256_json(made_of)}.tokens"


def load_tokens(path: Path) -> list[TokenRow] | None:
    """The rows of a cache file; None where it is absent or not what was written."""
    import numpy as np

    try:
        checksum, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest().encode() != checksum:
        logger.warning("%s is damaged: the rows are tokenised again", path)
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        names = json.loads(arrays["names"].tobytes())
        ids = np.split(arrays["ids"], np.cumsum(arrays["lengths"])[:-1])
        spans = np.split(arrays["spans"].reshape(-1, 2), np.cumsum(np.maximum(arrays["num_spans"], 0))[:-1])
        documents = (arrays["num_spans"] == DOCUMENT).tolist()
    return [
        TokenRow(name, part.tolist(), None if document else tuple((begin, end) for begin, end in span.tolist()))
        for name, part, span, document in zip(names, ids, spans, documents, strict=True)
    ]


def save_tokens(path: Path, rows: Sequence[TokenRow]) -> None:
    """Write a cache file and remove old ones; a disk that takes none costs the cache only."""
    import numpy as np

    stream = io.BytesIO()
    np.savez(
        stream,
        names=np.frombuffer(json.dumps([row.name for row in rows]).encode(), dtype=np.uint8),
        lengths=np.array([len(row.input_ids) for row in rows], dtype=np.int64),
        ids=np.array([token for row in rows for token in row.input_ids], dtype=np.int32),
        spans=np.array([place for row in rows for span in row.spans or () for place in span], dtype=np.int64),
        num_spans=np.array([DOCUMENT if row.spans is None else len(row.spans) for row in rows], dtype=np.int64),
    )
    content = stream.getvalue()
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        newest = sorted(path.parent.glob("*.tokens"), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in newest[KEPT_FILES:]:
            old.unlink(missing_ok=True)
    except (OSError, UsageError) as error:
        logger.warning("%s cannot be written (%s): the rows are tokenised again next time", path, error)
