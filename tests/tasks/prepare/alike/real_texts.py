"""Real texts full of near-duplicates, and all similar pairs of them by brute force."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evalsuite.core.text import as_written

DATA = Path(__file__).parents[5] / "shared" / "data"
BITEXT = DATA / "bitext" / "bitext_customer_support.csv"
MEDQUAD = DATA / "medquad" / "medquad_short.jsonl"
needs_texts = pytest.mark.skipif(not (BITEXT.is_file() and MEDQUAD.is_file()), reason="shared/data is not here")


def bitext(count: int, every: int = 1) -> list[str]:
    """Requests to a shop."""
    with BITEXT.open(encoding="utf-8", newline="") as stream:
        return [row["instruction"] for row in csv.DictReader(stream)][::every][:count]


def medquad(count: int) -> list[tuple[str, str]]:
    """Medical questions and their answers."""
    lines = MEDQUAD.read_text(encoding="utf-8").splitlines()[:count]
    return [(row["question"], row["answer"]) for row in map(json.loads, lines)]


def similar_pairs(texts: list[str], threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every pair (i < j) whose sets of character 5-grams reach a Jaccard similarity, by scikit-learn's counts."""
    from sklearn.feature_extraction.text import CountVectorizer

    written = [as_written(text).casefold() for text in texts]
    grams = CountVectorizer(analyzer="char", ngram_range=(5, 5), lowercase=False, binary=True).fit_transform(written)
    sizes = np.asarray(grams.sum(axis=1)).ravel().astype(np.float64)
    ones, others = [], []
    for start in range(0, len(texts), 500):
        shared = (grams[start : start + 500].astype(np.float32) @ grams.T.astype(np.float32)).toarray()
        similarity = shared / np.maximum(sizes[start : start + 500, None] + sizes[None] - shared, 1.0)
        one, other = np.nonzero(similarity >= threshold)
        later = other > one + start
        ones.append(one[later] + start)
        others.append(other[later])
    return np.concatenate(ones), np.concatenate(others)
