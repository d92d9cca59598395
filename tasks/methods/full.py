"""Full fine-tuning: every weight is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.config.numerics import Numerics
from tasks.methods.loading import load_plain, load_split, trained_dtype
from tasks.methods.method import Method, Standalone


class Full(Method):
    """Checkpoints are complete weights."""

    frozen = False
    usual_rates = (1e-6, 1e-4)

    def load(self, folder: Path, numerics: Numerics, split: Any | None = None) -> Any:
        """In the type of the weights that are trained."""
        dtype = trained_dtype(numerics)
        return load_plain(folder, dtype) if split is None else load_split(folder, dtype, split)

    def load_checkpoint(self, checkpoint: Path, base: Path, dtype: Any) -> Any:
        """The checkpoint itself."""
        return load_plain(checkpoint, dtype)

    def standalone(self, name: str, checkpoint: Path, base: Path, probes: Sequence[Sequence[int]]) -> Standalone:
        """The checkpoint itself."""
        import torch

        return Standalone(load_plain(checkpoint, torch.float32))
