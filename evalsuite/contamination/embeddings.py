"""Sentence embeddings of a small encoder: the mean of its last layer, as a unit vector."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_json
from evalsuite.core.identity import hash_files
from evalsuite.network.model_source import resolve_model

BATCH_SIZE = 64
MAX_TOKENS = 256
"""all-MiniLM-L6-v2 was trained on texts of this length; longer ones are cut."""


class SentenceEncoder:
    """Embeds texts by a folder's or package's encoder, as sentence-transformers does for MiniLM (mean pooling)."""

    def __init__(self, model: str) -> None:
        """Name the encoder; it is loaded at the first use.

        Args:
            model: A folder or ``package:NAME``.

        Raises:
            UsageError: A hub id: its bytes would have to be pinned; give a folder.
        """
        folder = resolve_model(model).folder
        if folder is None:
            raise UsageError(f"embedding model {model!r} is a hub id; give a folder with its files, or package:NAME")
        self._folder = folder
        self._loaded: tuple[Any, Any] | None = None

    @property
    def version(self) -> str:
        """Hash of the encoder's files."""
        return f"{self._folder.name} {sha256_json(sorted(hash_files(self._folder).items()))[:16]}"

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Unit vectors (texts, hidden)."""
        import torch
        from transformers import AutoModel, AutoTokenizer

        if self._loaded is None:
            tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True, trust_remote_code=False)
            model: Any = AutoModel.from_pretrained(
                self._folder, local_files_only=True, trust_remote_code=False, dtype=torch.float32
            )
            self._loaded = (tokenizer, model.eval())
        tokenizer, model = self._loaded
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        rows: dict[int, NDArray[np.float64]] = {}
        with torch.inference_mode():
            for start in range(0, len(order), BATCH_SIZE):
                batch = order[start : start + BATCH_SIZE]
                encoded = tokenizer(
                    [texts[index] for index in batch],
                    padding=True,
                    truncation=True,
                    max_length=MAX_TOKENS,
                    return_tensors="pt",
                )
                hidden = model(**encoded).last_hidden_state
                mask = encoded["attention_mask"][:, :, None].float()
                mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
                vectors = torch.nn.functional.normalize(mean, dim=-1).double().numpy()
                rows.update(zip(batch, vectors, strict=True))
        return np.stack([rows[index] for index in range(len(texts))]) if texts else np.zeros((0, 0))
