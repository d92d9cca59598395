"""Embeddings of references on disk, so that the next model's evaluation does not compute them again."""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.core.files import atomic_path

logger = logging.getLogger(__name__)

MAX_BYTES = 1 << 30
"""Of the file; when it would grow past this, what is there is given up for what is new."""


class Embedding(NamedTuple):
    """One text as BERTScore compares it."""

    vectors: Any
    """Unit vectors (tokens, hidden), fp32."""
    weights: Any
    """Weights (tokens,); 0 for special tokens."""


class KeptEmbeddings:
    """A safetensors file for one embedding model; a tensor whose checksum is wrong is not used.

    Each writer replaces the file as a whole: of two processes that write at the same time one's embeddings are lost,
    and computed again when they are next asked for. A file that cannot be read or written costs time and nothing else.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; it need not be there."""
        self._path = path

    def read(self, texts: Iterable[str]) -> dict[str, Embedding]:
        """The embeddings of those texts that are there."""
        from safetensors import SafetensorError, safe_open

        found: dict[str, Embedding] = {}
        if not self._path.is_file():
            return found
        try:
            with safe_open(self._path, framework="pt") as file:
                sums = file.metadata() or {}
                for text in texts:
                    name = _name(text)
                    if name in sums:
                        each = Embedding(file.get_tensor(f"{name}.vectors"), file.get_tensor(f"{name}.weights"))
                        if _checksum(each) != sums[name]:
                            logger.warning("%s: an embedding fails its checksum and is computed again", self._path)
                            continue
                        found[text] = each
        except (SafetensorError, OSError) as error:
            logger.warning("%s cannot be read (%s): embeddings are computed again", self._path, error)
            return {}
        return found

    def add(self, new: Mapping[str, Embedding]) -> None:
        """Write these beside those that are there."""
        if not new:
            return
        from safetensors.torch import save_file

        tensors, sums = self._all()
        size = sum(tensor.nbytes for tensor in tensors.values())
        if size + sum(each.vectors.nbytes for each in new.values()) > MAX_BYTES:
            tensors, sums = {}, {}
        for text, each in new.items():
            name = _name(text)
            tensors |= {f"{name}.vectors": each.vectors.contiguous(), f"{name}.weights": each.weights.contiguous()}
            sums[name] = _checksum(each)
        try:
            with atomic_path(self._path) as temporary:
                save_file(tensors, temporary, metadata=sums)
        except (OSError, UsageError) as error:
            logger.warning("%s cannot be written (%s): embeddings are not kept", self._path, error)

    def _all(self) -> tuple[dict[str, Any], dict[str, str]]:
        from safetensors import SafetensorError, safe_open

        if not self._path.is_file():
            return {}, {}
        try:
            with safe_open(self._path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
        except (SafetensorError, OSError):
            return {}, {}


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(each: Embedding) -> str:
    both = hashlib.sha256(str(tuple(each.vectors.shape)).encode())
    for tensor in each:
        both.update(tensor.contiguous().numpy().tobytes())
    return both.hexdigest()
