"""A case as numbers: its wording, how near it stays to the request, and what it is about."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evalsuite.judges import wording as wording_measures
from evalsuite.judges.base import JudgeCase
from evalsuite.judges.embedding import Embedder
from evalsuite.judges.wording import MAX_CHARACTERS, sentences, wording

VERSION = f"1.{wording_measures.VERSION}"
OPENING_SENTENCES = 2
MAX_SENTENCES = 60
BLOCKS = ("wording", "nearness", "whole", "sentence_mean", "opening", "rest")
"""wording: counts and shares. nearness: cosines of request and parts. The others are embeddings of the completion:
whole, the mean over its sentences, its first two sentences, and what follows them."""
NEAR = (0.3, 0.4)
"""Cosines from which a sentence counts as on the request's subject."""


def case_features(cases: Sequence[JudgeCase], embedder: Embedder) -> dict[str, NDArray[np.float64]]:
    """Block -> values, shape (cases, width of the block)."""
    parts = [sentences(case.completion)[:MAX_SENTENCES] for case in cases]
    texts = [
        (
            case.request[:MAX_CHARACTERS],
            case.completion[:MAX_CHARACTERS],
            " ".join(split[:OPENING_SENTENCES]),
            " ".join(split[OPENING_SENTENCES:])[:MAX_CHARACTERS],
        )
        for case, split in zip(cases, parts, strict=True)
    ]
    flat = [text for group in texts for text in group] + [part for split in parts for part in split]
    vectors = embedder.embed(flat)
    request, whole, opening, rest = vectors[: 4 * len(cases)].reshape(len(cases), 4, -1).transpose(1, 0, 2)
    ends = np.cumsum([len(split) for split in parts])
    by_case = np.split(vectors[4 * len(cases) :], ends[:-1])
    nearness = [_nearness(*row) for row in zip(request, whole, opening, rest, by_case, strict=True)]
    return {
        "wording": np.array([wording(case.request, case.completion).values for case in cases]),
        "nearness": np.array(nearness),
        "whole": whole,
        "sentence_mean": np.stack([split.mean(axis=0) for split in by_case]),
        "opening": opening,
        "rest": rest,
    }


def _nearness(
    request: NDArray[np.float64],
    whole: NDArray[np.float64],
    opening: NDArray[np.float64],
    rest: NDArray[np.float64],
    split: NDArray[np.float64],
) -> list[float]:
    cosines = split @ request
    highest = np.sort(cosines)[::-1]
    return [
        float(value)
        for value in (
            whole @ request, opening @ request, rest @ request, opening @ rest, highest[0], highest[:3].mean(),
            cosines.mean(), np.median(cosines), cosines[0], cosines[-1], cosines.std(), (split @ whole).mean(),
            *((cosines > bar).mean() for bar in NEAR),
        )
    ]  # fmt: skip
