"""The golden dev set on a saved checkpoint."""

from pathlib import Path
from typing import Any

from evalsuite.items.results import SuiteSummary
from tasks.config.golden import DevSuite
from tasks.config.methods import MethodParams
from tasks.evaluation.golden_suite import dev_suite
from tasks.methods.kinds import method_of
from tasks.methods.loading import shipped_dtype


class DevRunner:
    """Runs dev.jsonl after each epoch; the suite and its scorer are read once."""

    def __init__(self, params: DevSuite, select_metric: str, base: Path, method: MethodParams, tokenizer: Any) -> None:
        """Read and check the dev split, so that a malformed set stops the run before training.

        Raises:
            UsageError: The set is malformed, or no dev item has ``select_metric``.
        """
        self._suite = dev_suite(params.golden, select_metric)
        self._batch_tokens = params.batch_tokens
        self._base = base
        self._method = method_of(method)
        self._tokenizer = tokenizer

    def run(self, checkpoint: Path) -> SuiteSummary:
        """Load the checkpoint from disk, as it was saved, and answer every dev item.

        The random state is left as it was, so that training goes on as if nothing had been evaluated.
        """
        import torch

        from evalsuite.engines.hf import HFEngine

        with torch.random.fork_rng():
            # An engine computes in fp32 on a CPU, and in the type that ships on a GPU.
            dtype = shipped_dtype(self._base) if torch.cuda.is_available() else torch.float32
            model = self._method.load_checkpoint(checkpoint, self._base, dtype)
            engine = HFEngine(model, self._tokenizer, checkpoint.name, self._batch_tokens)
            return self._suite.run(engine).summary()
