"""What is asked of every row again and again, worked out once and kept beside it.

Where a row stands, who wrote it and whether another says the same are asked by several steps, the split, the trail and
the page; none of them reads a million rows for it.
"""

import json
import marshal
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from tasks.data.formats import Row
from tasks.data.synthetic import synthetic_of
from tasks.objectives.objective import Objective
from tasks.prepare.record.content_hash import HASH_BYTES, content_hash
from tasks.prepare.rows import as_compared, content


class Head(NamedTuple):
    """What is kept beside a row."""

    source: str
    """``Row.source``."""
    row_id: str
    """``Row.row_id``."""
    content: str
    """``content_hash`` of what is learnt of it."""
    said: bytes
    """Equal for rows that say the same, and the same to the objective, but for white space and Unicode's form."""
    characters: int
    """Of its turns, or of the document."""
    answers: int
    """Turns of the assistant."""
    context: int
    """Those of them that are not learnt."""
    written: tuple[str, str] | None
    """What a model was asked for, and its name; None where people wrote the row."""
    seeds: tuple[tuple[str, str], ...]
    """Source and ``content_hash`` of each row that a model made it from."""


def head_of(row: Row, objective: Objective) -> Head:
    """A row's, by what the objective learns from it.

    Raises:
        TypeError: A field that the objective learns from holds something that is no JSON value.
    """
    own = (json.dumps(row.fields.get(name), sort_keys=True) for name in objective.fields)
    said = "\0".join((*as_compared(row), *own)).encode("utf-8", "surrogatepass")
    weights = [turn.get("weight", 1) for turn in row.messages if turn["role"] == "assistant"]
    texts = [turn["content"] for turn in row.messages] if row.text is None else [row.text]
    mark = synthetic_of(row.fields)
    return Head(
        row.source,
        row.row_id,
        content_hash(content(row, objective)),
        blake2b(said, digest_size=HASH_BYTES).digest(),
        sum(map(len, texts)),
        len(weights),
        weights.count(0),
        (mark.kind, mark.model) if mark else None,
        tuple((seed.source, seed.content) for seed in mark.seeds) if mark else (),
    )


def pack_head(head: Head) -> bytes:
    """A head as bytes."""
    return marshal.dumps(tuple(head))


def unpack_heads(packed: Iterable[bytes]) -> Iterator[Head]:
    """Heads of ``pack_head``."""
    return map(Head._make, map(marshal.loads, packed))
