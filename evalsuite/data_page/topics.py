"""What a sample of texts is about: clusters of TF-IDF vectors by spherical k-means, each with its typical words.

Dhillon and Modha 2001, Concept decompositions for large sparse text data using clustering (Machine Learning 42).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE = 2000
"""Texts that are looked at."""
LEAST_TEXTS = 40
MOST_CLUSTERS = 10
TEXTS_OF_A_CLUSTER = 20
"""So many texts there must be for each cluster."""
MOST_WORDS = 4000
COMMON = 0.25
"""Words of a larger share of the texts say nothing about a cluster."""
ROUNDS = 25
STARTS = 4
SHOWN_WORDS = 7
LONGEST = 2000
"""Characters of a text that are looked at."""
WORD = re.compile(r"[^\W\d_]{3,}")
FUNCTION_WORDS = frozenset(
    WORD.findall(
        "about after again all also and any are because been before being both but can cannot could did does doing "
        "done down during each ever every few for from further get gets give given had has have having her here hers "
        "him his how however into its just let like made make many may might more most much must need needs not now "
        "off once only other our ours out over own please same she should some such than that the their theirs them "
        "then there these they this those through too under until upon very want wants was were what when where which "
        "while who whom why will with within without would yes you your yours "
    )
)
"""Words of English that name no topic; those of other languages fall away where they are common."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Topic:
    """One cluster."""

    count: int
    words: tuple[str, ...]
    """The most typical first."""
    example: str | None
    """The text that lies nearest to its middle; None where texts are not shown."""


@dataclass(frozen=True)
class Topics:
    """The clusters of a sample, the largest first; none where there are too few texts."""

    num_sampled: int
    topics: tuple[Topic, ...]

    def percent(self, topic: Topic) -> float:
        """Of the sample (0..100)."""
        return 100.0 * topic.count / self.num_sampled if self.num_sampled else 0.0


def topics_of(texts: Sequence[str], seed: int, examples: bool = True) -> Topics:
    """Cluster the texts; whoever has many gives a sample.

    Args:
        texts: What the rows say.
        seed: Of the clusters' first middles.
        examples: Whether texts may be shown.
    """
    words = [_words(text) for text in texts]
    found = Counter(word for each in words for word in set(each))
    known = [(word, n) for word, n in found.items() if 1 < n <= max(2.0, COMMON * len(texts))]
    vocabulary = sorted(word for word, _ in sorted(known, key=lambda each: (-each[1], each[0]))[:MOST_WORDS])
    clusters = min(MOST_CLUSTERS, len(texts) // TEXTS_OF_A_CLUSTER)
    if len(texts) < LEAST_TEXTS or len(vocabulary) < 2 * clusters:
        return Topics(len(texts), ())
    vectors = _vectors(words, vocabulary, found)
    middles, chosen, similar = _clusters(vectors, clusters, seed)
    average = np.asarray(vectors.mean(axis=0)).ravel()
    topics = []
    for number in range(clusters):
        inside = np.flatnonzero(chosen == number)
        if inside.size:
            typical = np.argsort(-(middles[number] - average), kind="stable")[:SHOWN_WORDS]
            shown = tuple(vocabulary[at] for at in typical if middles[number][at] > average[at])
            example = texts[int(inside[np.argmax(similar[inside])])] if examples else None
            topics.append(Topic(int(inside.size), shown, example))
    return Topics(len(texts), tuple(sorted(topics, key=lambda topic: (-topic.count, topic.words))))


def _words(text: str) -> list[str]:
    return [word for word in WORD.findall(text[:LONGEST].casefold()) if word not in FUNCTION_WORDS]


def _vectors(words: Sequence[Sequence[str]], vocabulary: Sequence[str], found: Counter[str]) -> Any:
    """Rows of unit length: log-scaled counts of words by how rare they are; a text of no known word is all 0."""
    from scipy.sparse import csr_array, diags_array

    place = {word: at for at, word in enumerate(vocabulary)}
    starts, columns, values = [0], [], []
    for each in words:
        counts = Counter(word for word in each if word in place)
        for word in sorted(counts):
            columns.append(place[word])
            values.append((1.0 + np.log(counts[word])) * np.log(len(words) / found[word]))
        starts.append(len(columns))
    vectors = csr_array((values, columns, starts), shape=(len(words), len(vocabulary)))
    lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
    return (diags_array(1.0 / np.where(lengths > 0.0, lengths, 1.0)) @ vectors).tocsr()


def _clusters(vectors: Any, clusters: int, seed: int) -> tuple[Matrix, NDArray[np.int64], Matrix]:
    """Middles, each row's cluster, and its cosine with the middle: the best of some starts."""
    random = np.random.default_rng(seed)
    best: tuple[Matrix, NDArray[np.int64], Matrix] | None = None
    for _ in range(STARTS):
        middles = vectors[_first(vectors, clusters, random)].toarray()
        chosen = np.full(vectors.shape[0], -1)
        for _ in range(ROUNDS):
            cosines = vectors @ middles.T
            before, chosen = chosen, np.argmax(cosines, axis=1)
            if np.array_equal(before, chosen):
                break
            middles = _middles(vectors, chosen, middles)
        similar = (vectors @ middles.T)[np.arange(vectors.shape[0]), chosen]
        if best is None or similar.sum() > best[2].sum() + 1e-9:
            best = middles, chosen, similar
    assert best is not None  # noqa: S101  there is at least one start
    return best


def _first(vectors: Any, clusters: int, random: np.random.Generator) -> list[int]:
    """Rows to begin with, far from each other (k-means++, Arthur and Vassilvitskii 2007)."""
    rows = [int(random.integers(vectors.shape[0]))]
    nearest: Matrix | None = None
    while len(rows) < clusters:
        cosines = (vectors @ vectors[[rows[-1]]].T).toarray().ravel()
        nearest = cosines if nearest is None else np.maximum(nearest, cosines)
        far = np.clip(1.0 - nearest, 0.0, None) ** 2
        total = far.sum()
        rows.append(int(random.choice(far.size, p=far / total)) if total > 0.0 else rows[-1])
    return rows


def _middles(vectors: Any, chosen: NDArray[np.int64], before: Matrix) -> Matrix:
    from scipy.sparse import csr_array

    size = chosen.size
    members = csr_array((np.ones(size), (chosen, np.arange(size))), shape=(before.shape[0], size))
    sums = (members @ vectors).toarray()
    lengths = np.sqrt((sums * sums).sum(axis=1, keepdims=True))
    return np.where(lengths > 0.0, sums / np.where(lengths > 0.0, lengths, 1.0), before)
