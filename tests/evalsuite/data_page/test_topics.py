"""Topics of texts that were made from known ones."""

import random

from sklearn.metrics import adjusted_rand_score

from evalsuite.data_page import topics
from evalsuite.data_page.topics import topics_of

THEMES = {
    "parcels": ["parcel", "courier", "delivery", "tracking", "warehouse", "doorstep", "shipment", "driver"],
    "money": ["invoice", "refund", "payment", "card", "balance", "statement", "charge", "receipt"],
    "login": ["password", "account", "username", "browser", "cookie", "session", "email", "token"],
}
COMMON = ["please", "help", "about", "today", "again", "still", "would"]


def made(count: int, seed: int = 1) -> tuple[list[str], list[str]]:
    drawn = random.Random(seed)  # noqa: S311  no secret
    labels = [drawn.choice(list(THEMES)) for _ in range(count)]
    texts = [" ".join(drawn.choices(THEMES[label], k=6) + drawn.choices(COMMON, k=4)) for label in labels]
    return texts, labels


def test_texts_of_three_themes_fall_apart_into_them() -> None:
    texts, labels = made(60)
    words = [topics.WORD.findall(text) for text in texts]
    from collections import Counter

    found = Counter(word for each in words for word in set(each))
    vocabulary = sorted(word for word, n in found.items() if 1 < n <= 0.5 * len(texts))
    vectors = topics._vectors(words, vocabulary, found)
    _, chosen, _ = topics._clusters(vectors, 3, seed=7)
    assert adjusted_rand_score(labels, chosen) == 1.0


def test_the_words_of_a_topic_are_of_one_theme() -> None:
    texts, _ = made(400)
    found = topics_of(texts, seed=7)
    assert sum(topic.count for topic in found.topics) == found.num_sampled == 400
    for topic in found.topics:
        themes = {name for name, words in THEMES.items() for word in topic.words[:2] if word in words}
        assert len(themes) == 1, topic.words
        assert topic.example in texts


def test_the_same_texts_and_seed_give_the_same_topics() -> None:
    texts, _ = made(200)
    assert topics_of(texts, seed=3) == topics_of(texts, seed=3)


def test_few_texts_or_texts_without_words_have_no_topics() -> None:
    assert topics_of(["parcel delivery"] * 10, seed=1).topics == ()
    assert topics_of(["1 2 3"] * 100, seed=1).topics == ()
    assert topics_of([""] * 100, seed=1).topics == ()
