"""Keys of training rows that say by their names what is learnt."""

import re

MAX_READ = 60
"""Characters of a name that are looked at."""
MARK_WORDS = frozenset(
    (
        *("weight", "weights", "train", "trained", "trainable", "training", "learn", "learnt", "learned"),
        *("loss", "mask", "masks", "masked", "masking"),
    )
)
VERDICT_WORDS = frozenset(("label", "labels", "kto"))
FILLERS = frozenset(
    (
        *("is", "on", "in", "no", "not", "do", "to", "for", "per", "the", "this", "should", "with", "without"),
        *("turn", "turns", "row", "message", "token", "tokens", "input", "inputs", "output", "outputs", "prompt"),
        *("tag", "detail"),
    )
)
"""Words that leave a key a mark: ``train_on_turn``, ``kto_tag``."""


def is_mark(key: str) -> bool:
    """Whether a key says by its name that something is learnt or not: ``weight``, ``label``, ``Loss-Mask``."""
    words = words_of_key(key)
    marks = MARK_WORDS | VERDICT_WORDS
    return bool(words & marks) and words <= marks | FILLERS


def words_of_key(key: str) -> set[str]:
    """The words of a name, whether written train_on_turn, train-on-turn or trainOnTurn."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", key[:MAX_READ])}
