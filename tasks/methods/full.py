"""Full fine-tuning: every weight is trained."""

from pathlib import Path
from typing import Any

from tasks.methods.loading import load_plain
from tasks.methods.method import Method


class Full(Method):
    """Checkpoints are complete weights."""

    frozen = False
    usual_rates = (1e-6, 1e-4)

    def load_checkpoint(self, checkpoint: Path, base: Path, dtype: Any) -> Any:
        """The checkpoint itself."""
        return load_plain(checkpoint, dtype)
