"""BERTScore F1 (Zhang et al. 2020, arXiv:1904.09675) with one pinned model and layer."""

import logging
from collections.abc import Iterable, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_file, sha256_json
from evalsuite.core.identity import hash_files
from evalsuite.network.hub import HubRepo, RepoKind, check_commit, fetched
from evalsuite.network.model_source import resolve_model
from evalsuite.suites.golden_set.kept_embeddings import Embedding, KeptEmbeddings

logger = logging.getLogger(__name__)

BATCH_SIZE = 64
MAX_KEPT = 20_000
"""References whose embeddings are kept; more are computed again (about 20 kB each in MiniLM)."""
MODEL_KEY, REVISION_KEY = "evaluation.golden.bertscore_model", "evaluation.golden.bertscore_revision"
REMEDY = f"name a folder or package:NAME in {MODEL_KEY}, with bertscore_layer"
"""Where params.yaml names the model, and what to do without a hub."""
LANGUAGE = "en"
"""Of the baselines that come with bert-score."""


class BertScorer:
    """Scores outputs against references; the model is loaded at the first use and kept, references are embedded once.

    Encoding, embedding and matching are bert-score's own functions; what is ours is that a reference is embedded once
    for all models and epochs that this object scores, and for those of later processes where a folder is given.
    """

    def __init__(
        self,
        model: str,
        layer: int | None = None,
        baseline: Path | None = None,
        kept: Path | None = None,
        revision: str | None = None,
    ) -> None:
        """Choose the embedding model.

        Args:
            model: Hub id that bert-score knows, a folder, or ``package:NAME``.
            layer: Layer whose embeddings are compared; bert-score's own choice when None.
            baseline: Table of rescale baselines in bert-score's format (LAYER,P,R,F). The one that bert-score brings
                for the model when None; scores are not rescaled where it brings none.
            kept: Folder where embeddings of references stay; they are not kept when None.
            revision: Commit of a hub id; needed once something is scored.

        Raises:
            UsageError: A folder or package without a layer, for which bert-score knows no best layer; no such table.
        """
        self._source = resolve_model(model)
        self._revision = revision
        self._layer = layer
        self._baseline_path = baseline
        self._embedded: dict[str, Embedding] = {}
        self._kept_in = kept
        if self._source.folder is not None and layer is None:
            raise UsageError(f"BERTScore model {model!r} is a folder: name its layer in bertscore_layer")
        if baseline is not None and not baseline.is_file():
            raise UsageError(f"no BERTScore baseline at {baseline}; expected bert-score's table LAYER,P,R,F")

    @cached_property
    def version(self) -> str:
        """bert-score's version, the model's bytes, the layer and the baseline: what a score depends on."""
        table = self._table
        rescaled = f" rescaled {sha256_file(table)[:16]}" if table else ""
        return f"bert-score {version('bert-score')} {self._bytes} L{self._layer}{rescaled}"

    @cached_property
    def _bytes(self) -> str:
        """The model's hash, or hub id and commit."""
        if self._source.folder is not None:
            return sha256_json(sorted(hash_files(self._source.folder).items()))[:16]
        repo = self._repo
        return f"{repo.name}@{repo.commit[:12]}"

    @property
    def _repo(self) -> HubRepo:
        hub_id = str(self._source.hub_id)
        return HubRepo(RepoKind.MODEL, hub_id, check_commit(MODEL_KEY, hub_id, self._revision, REVISION_KEY))

    @property
    def _folder(self) -> Path:
        """The model's files; a hub model that is not here yet is fetched."""
        return self._source.folder or fetched(self._repo, MODEL_KEY, REMEDY)

    def _num_layers(self) -> int:
        """The layer, or bert-score's own choice for the hub model.

        Raises:
            UsageError: bert-score knows no best layer of this model.
        """
        if self._layer is not None:
            return self._layer
        from bert_score.utils import model2layers

        hub_id = str(self._source.hub_id)
        if hub_id not in model2layers:
            raise UsageError(f"bert-score knows no best layer of {hub_id!r}: name one in bertscore_layer")
        return int(model2layers[hub_id])

    @cached_property
    def _kept(self) -> KeptEmbeddings | None:
        if self._kept_in is None:
            return None
        packages = [version(name) for name in ("bert-score", "transformers", "torch")]
        name = sha256_json([self._bytes, self._layer, packages])[:32]
        return KeptEmbeddings(self._kept_in / f"bertscore-{name}.safetensors")

    @property
    def rescaled(self) -> bool:
        """Whether scores are rescaled with a baseline; they then spread over 0..1, and may be negative."""
        return self._table is not None

    @cached_property
    def _table(self) -> Path | None:
        if self._baseline_path is not None:
            return self._baseline_path
        if self._source.hub_id is None:
            return None
        import importlib.util

        spec = importlib.util.find_spec("bert_score")
        if spec is None or spec.origin is None:
            return None
        table = Path(spec.origin).parent / "rescale_baseline" / LANGUAGE / f"{self._source.hub_id}.tsv"
        return table if table.is_file() else None

    @cached_property
    def _scorer(self) -> Any:
        from bert_score import BERTScorer

        table = self._table
        scorer = BERTScorer(
            model_type=str(self._folder),
            num_layers=self._num_layers(),
            rescale_with_baseline=table is not None,
            lang=LANGUAGE,
            baseline_path=None if table is None else str(table),
        )
        # A tokenizer that states no limit lets bert-score ask for one of 10^30 tokens.
        limit = int(getattr(scorer._model.config.get_text_config(), "max_position_embeddings", 512))
        scorer._tokenizer.model_max_length = min(scorer._tokenizer.model_max_length, limit)
        return scorer

    @cached_property
    def _baseline_f1(self) -> float | None:
        """The baseline's F1 of this layer; each row of the table is a layer, the first of them 0."""
        table = self._table
        if table is None:
            return None
        layer = int(self._scorer.num_layers)
        rows = [line.split(",") for line in table.read_text(encoding="utf-8").splitlines()[1:] if line.strip()]
        found = [row for row in rows if row[0].strip() == str(layer)]
        if not found:
            raise UsageError(f"{table} has no row of layer {layer}; layers there: {', '.join(row[0] for row in rows)}")
        return float(found[0][3])

    def f1(self, outputs: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
        """Best F1 over each output's references; 0.0 for an empty output, which shares nothing with any reference."""
        scores = [0.0] * len(outputs)
        filled = [index for index, output in enumerate(outputs) if output.strip()]
        if not filled:
            return scores
        self._keep(text for index in filled for text in references[index])
        answers = self._embed({outputs[index] for index in filled} - self._embedded.keys()) | self._embedded
        pairs = [(answers[outputs[index]], answers[text], index) for index in filled for text in references[index]]
        best: dict[int, float] = {}
        for start in range(0, len(pairs), BATCH_SIZE):
            batch = pairs[start : start + BATCH_SIZE]
            values = _matched([output for output, _, _ in batch], [reference for _, reference, _ in batch])
            for value, (_, _, index) in zip(values, batch, strict=True):
                best[index] = max(best.get(index, -1.0), value)
        baseline = self._baseline_f1
        for index, value in best.items():
            scores[index] = value if baseline is None else (value - baseline) / (1 - baseline)
        return scores

    def _keep(self, texts: Iterable[str]) -> None:
        """Embed references that were not seen before; make room when there are too many."""
        wanted = dict.fromkeys(texts)
        if len(self._embedded) + len(wanted) > MAX_KEPT:
            self._embedded = {}
        if self._kept is not None:
            self._embedded |= self._kept.read(wanted.keys() - self._embedded.keys())
        new = self._embed(wanted.keys() - self._embedded.keys())
        self._embedded |= new
        if self._kept is not None:
            self._kept.add(new)

    def _embed(self, texts: Iterable[str]) -> dict[str, Embedding]:
        import torch
        from bert_score.utils import get_bert_embedding, sent_encode

        scorer = self._scorer
        tokenizer = scorer._tokenizer
        weights = _Weights({tokenizer.sep_token_id: 0.0, tokenizer.cls_token_id: 0.0})
        ordered = sorted(set(texts), key=lambda text: (len(text), text))
        limit = tokenizer.model_max_length
        cut = sum(len(sent_encode(tokenizer, text)) >= limit for text in ordered if len(text) > limit)
        if cut:
            logger.warning("BERTScore: %d of %d texts are cut at the model's %d tokens", cut, len(ordered), limit)
        found: dict[str, Embedding] = {}
        for start in range(0, len(ordered), BATCH_SIZE):
            batch = ordered[start : start + BATCH_SIZE]
            embedding, mask, idf = get_bert_embedding(
                batch, scorer._model, tokenizer, weights, device=scorer.device, all_layers=False
            )
            lengths = mask.sum(dim=1).tolist()
            for row, (text, length) in enumerate(zip(batch, lengths, strict=True)):
                vectors = torch.nn.functional.normalize(embedding[row, :length].float(), dim=-1)
                found[text] = Embedding(vectors.cpu(), idf[row, :length].cpu())
        return found


class _Weights(dict[int, float]):
    """bert-score's weights without idf: 1 for every token that is not special."""

    def __missing__(self, _token: int) -> float:
        return 1.0


def _matched(outputs: Sequence[Any], references: Sequence[Any]) -> list[float]:
    """F1 of each pair by bert-score's greedy matching."""
    import torch
    from bert_score.utils import greedy_cos_idf
    from torch.nn.functional import pad
    from torch.nn.utils.rnn import pad_sequence

    def padded(texts: Sequence[Any]) -> tuple[Any, Any, Any]:
        # One place of padding at least: bert-score counts padding as similarity 0, so that whether a negative best
        # match counts would depend on the batch. Not zeros, whose norm greedy_cos_idf divides by.
        lengths = torch.tensor([len(weights) for _, weights in texts])
        mask = torch.arange(int(lengths.max()) + 1)[None, :] < lengths[:, None]
        vectors = pad_sequence([vectors for vectors, _ in texts], batch_first=True, padding_value=2.0)
        weights = pad_sequence([weights for _, weights in texts], batch_first=True)
        return pad(vectors, (0, 0, 0, 1), value=2.0), mask, pad(weights, (0, 1))

    _, _, f1 = greedy_cos_idf(*padded(references), *padded(outputs), all_layers=False)
    return [float(value) for value in f1]
