"""The golden dev set on a saved checkpoint."""

from pathlib import Path
from typing import Any

from evalsuite.results import SuiteSummary
from evalsuite.suites.bertscore import BertScorer
from evalsuite.suites.golden import GoldenSuite
from tasks.params import EvaluationParams, MethodParams
from tasks.training.models import load_checkpoint


class DevRunner:
    """Runs dev.jsonl after each epoch; the suite and its scorer are read once."""

    def __init__(self, params: EvaluationParams, base: Path, method: MethodParams, tokenizer: Any) -> None:
        """Read and check the dev split, so that a malformed set stops the run before training."""
        golden = params.golden
        scorer = BertScorer(golden.bertscore_model, golden.bertscore_layer)
        self._suite = GoldenSuite(Path(golden.path), "dev", golden.max_new_tokens, scorer)
        self._batch_tokens = params.batch_tokens
        self._base = base
        self._method = method
        self._tokenizer = tokenizer

    def run(self, checkpoint: Path) -> SuiteSummary:
        """Load the checkpoint from disk, as it was saved, and answer every dev item.

        The random state is left as it was, so that training goes on as if nothing had been evaluated.
        """
        import torch

        from evalsuite.engines.hf import HFEngine

        with torch.random.fork_rng():
            model = load_checkpoint(checkpoint, self._base, self._method)
            engine = HFEngine(model, self._tokenizer, checkpoint.name, self._batch_tokens)
            return self._suite.run(engine).summary()
