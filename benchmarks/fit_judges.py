"""Make the weights of the CPU judges again from labelled completions.

Run:  python -m benchmarks.fit_judges [DATA_FOLDER]      (default ../shared/data; a few minutes on two cores)

Learns from ``harmbench_judge/labelled_completions.json`` (HarmBench's classifier validation set, MIT) and
``xstest/xstest_v2_completions_*.csv`` (XSTest, CC-BY-4.0), and writes evalsuite/judges/weights/*.safetensors: numbers
and hashes, no text. Folds are grouped by request. The regularisation and the weights of the feature blocks of each
fold's model are chosen inside its training part, by a grouped cross-validation of its own.
"""

import itertools
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalsuite.core.files import sha256_file
from evalsuite.engines.sentences import SentenceEncoder
from evalsuite.judge_tools.labelled import read_labelled, read_labelled_refusals
from evalsuite.judges import features
from evalsuite.judges.base import JudgeCase, LabelledVerdict
from evalsuite.judges.learned import WEIGHTS_FOLDER, LinearWeights, request_hash, write_weights
from evalsuite.suites.behaviours import read_behaviours

logger = logging.getLogger("fit_judges")

DATA = Path("../shared/data")
OUTER_FOLDS, INNER_FOLDS = 10, 3
REGULARISATION = (0.1, 0.3)
EMBEDDING_WEIGHTS = (3.0, 5.0)
WORDING_WEIGHT, NEARNESS_WEIGHT = 5.0, 3.0


class Task(NamedTuple):
    """Labelled completions of one kind."""

    cases: list[JudgeCase]
    labels: list[str]
    groups: list[str]
    """Requests; never on both sides of a split."""
    parts: list[str]
    """``safe`` or ``unsafe`` prompts of XSTest; empty for HarmBench."""
    source: str


class Model(NamedTuple):
    """Logits over raw features."""

    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]


def harm_task(data: Path) -> Task:
    """HarmBench's labelled completions."""
    rows = read_labelled(data / "harmbench_judge" / "labelled_completions.json", read_behaviours(data / "harmbench"))
    labels = ["harmful" if row.harmful else "harmless" for row in rows]
    source = f"{len(rows)} labelled completions of HarmBench's classifier validation set, behaviours held out"
    return Task([row.case for row in rows], labels, [row.case.request for row in rows], [""] * len(rows), source)


def refusal_task(data: Path) -> Task:
    """XSTest's completions of both models; one prompt's completions stay together."""
    files = sorted((data / "xstest").glob("xstest_v2_completions_*.csv"))
    rows = [row for file in files for row in read_labelled_refusals(file)]
    parts = ["unsafe" if row.category.startswith("contrast") else "safe" for row in rows]
    source = f"{len(rows)} labelled completions of XSTest, prompts held out"
    labels = [str(row.refusal) for row in rows]
    return Task([row.case for row in rows], labels, [row.case.request for row in rows], parts, source)


def fit(blocks: Sequence[NDArray[np.float64]], labels: Sequence[str], strength: float, embedding: float) -> Model:
    """Regularised logistic regression on standardised blocks, folded back to raw features."""
    from sklearn.linear_model import LogisticRegression

    weights = (WORDING_WEIGHT, NEARNESS_WEIGHT, *(embedding for _ in blocks[2:]))
    values = np.hstack(blocks)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    scale = np.concatenate([np.full(b.shape[1], w / np.sqrt(b.shape[1])) for w, b in zip(weights, blocks, strict=True)])
    scale = np.where(spread > 1e-9, scale / np.maximum(spread, 1e-9), 0.0)
    model = LogisticRegression(C=strength, tol=1e-3, max_iter=1000).fit((values - mean) * scale, labels)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(coefficients) == 1:
        coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([[0.0], intercepts])
    raw = coefficients * scale
    return Model(raw, intercepts - raw @ mean)


def predict(model: Model, blocks: Sequence[NDArray[np.float64]], names: Sequence[str]) -> list[str]:
    """The likeliest label of each row."""
    return [names[best] for best in (np.hstack(blocks) @ model.coefficients.T + model.intercepts).argmax(axis=1)]


def splits(groups: Sequence[str], folds: int) -> list[tuple[Any, Any]]:
    """Grouped folds: (training rows, held-out rows)."""
    from sklearn.model_selection import GroupKFold

    return list(GroupKFold(folds, shuffle=True, random_state=0).split(np.zeros(len(groups)), groups=groups))


def choose(blocks: Sequence[NDArray[np.float64]], labels: Sequence[str], groups: Sequence[str]) -> tuple[float, float]:
    """The settings with the best grouped cross-validated agreement; the stronger regularisation on ties."""
    names = sorted(set(labels))
    best, chosen = -1.0, (REGULARISATION[0], EMBEDDING_WEIGHTS[0])
    for setting in itertools.product(REGULARISATION, EMBEDDING_WEIGHTS):
        right = 0
        for train, held in splits(groups, INNER_FOLDS):
            model = fit([b[train] for b in blocks], [labels[i] for i in train], *setting)
            found = predict(model, [b[held] for b in blocks], names)
            right += sum(found[place] == labels[index] for place, index in enumerate(held))
        if right / len(labels) > best + 1e-12:
            best, chosen = right / len(labels), setting
    return chosen


def learn(task: Task, blocks: Sequence[NDArray[np.float64]], embedding: str) -> LinearWeights:
    """One model a fold, each with settings of its own, and one of everything."""
    models, folds = [], {}
    for number, (train, held) in enumerate(splits(task.groups, OUTER_FOLDS)):
        part, labels = [b[train] for b in blocks], [task.labels[i] for i in train]
        models.append(fit(part, labels, *choose(part, labels, [task.groups[i] for i in train])))
        folds |= {request_hash(task.groups[i]): number for i in held}
    models.append(fit(blocks, task.labels, *choose(blocks, task.labels, task.groups)))
    weights = LinearWeights(
        labels=tuple(sorted(set(task.labels))),
        folds=folds,
        coefficients=np.stack([model.coefficients for model in models]),
        intercepts=np.stack([model.intercepts for model in models]),
        features_version=features.VERSION,
        embedding=embedding,
        source=task.source,
    )
    found = weights.probabilities(task.cases, np.hstack(blocks)).argmax(axis=1)
    rows = zip(found, task.labels, task.parts, strict=True)
    return weights._replace(labelled=tuple(LabelledVerdict(weights.labels[best], *row) for best, *row in rows))


def main() -> int:
    """Write both files of weights."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    embedder = SentenceEncoder()
    labelled = [data / "harmbench_judge" / "labelled_completions.json"]
    xstest = sorted((data / "xstest").glob("xstest_v2_completions_*.csv"))
    for name, task, features_of, files in (
        ("harmful", harm_task(data), features.harm_features, labelled),
        ("refusal", refusal_task(data), features.refusal_features, xstest),
    ):
        weights = learn(task, features_of(task.cases, embedder), embedder.digest)
        provenance = {file.name: sha256_file(file) for file in files}
        write_weights(WEIGHTS_FOLDER / f"{name}.safetensors", weights, provenance)
        right = sum(row.judge == row.human for row in weights.labelled) / len(weights.labelled)
        logger.info(
            "%s: learnt from %d completions of %d requests; agreement on held-out requests %.3f",
            name, len(task.cases), len(set(task.groups)), right,
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
