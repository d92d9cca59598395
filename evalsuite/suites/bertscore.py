"""BERTScore F1 (Zhang et al. 2020, arXiv:1904.09675) with one pinned model and layer."""

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any

from evalsuite.errors import UsageError
from evalsuite.files import sha256_json
from evalsuite.identity import hash_files
from evalsuite.model_source import resolve_model


class BertScorer:
    """Scores outputs against references; the model is loaded at the first use and kept."""

    def __init__(self, model: str, layer: int | None = None) -> None:
        """Choose the embedding model.

        Args:
            model: Hub id that bert-score knows, a folder, or ``package:NAME``.
            layer: Layer whose embeddings are compared; bert-score's own choice when None.

        Raises:
            UsageError: A folder or package without a layer, for which bert-score knows no best layer.
        """
        self._source = resolve_model(model)
        self._layer = layer
        if self._source.folder is not None and layer is None:
            raise UsageError(f"BERTScore model {model!r} is a folder: name its layer in bertscore_layer")

    @cached_property
    def version(self) -> str:
        """bert-score's version, the model's bytes and the layer."""
        folder = self._source.folder
        name = sha256_json(sorted(hash_files(folder).items()))[:16] if folder else self._source.hub_id
        return f"bert-score {version('bert-score')} {name} L{self._layer}"

    @cached_property
    def _scorer(self) -> Any:
        from bert_score import BERTScorer

        name = str(self._source.folder) if self._source.folder else self._source.hub_id
        return BERTScorer(model_type=name, num_layers=self._layer, rescale_with_baseline=False, idf=False)

    def f1(self, outputs: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
        """Best F1 over each output's references; 0.0 for an empty output, which shares nothing with any reference."""
        scores = [0.0] * len(outputs)
        filled = [index for index, output in enumerate(outputs) if output.strip()]
        if filled:
            _, _, values = self._scorer.score(
                [outputs[index] for index in filled], [list(references[index]) for index in filled], batch_size=64
            )
            for index, value in zip(filled, values.tolist(), strict=True):
                scores[index] = float(value)
        return scores
