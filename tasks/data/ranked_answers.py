"""Several answers to one prompt, each with its rank or its score: the best is preferred, the worst rejected.

As in Nectar (``answers`` with ``rank``), UltraFeedback (``completions`` with ``overall_score``) and distilabel
(``generations`` with ``ratings`` beside them).
"""

from collections.abc import Sequence
from typing import Any

from tasks.data.keys import check_keys, check_number, is_empty, kind_of

ANSWERS = ("responses", "completions", "answers", "generations")
"""Keys of a row that hold its answers."""
TEXTS = ("answer", "response", "completion", "text", "content", "output", "generation")
"""Keys of an answer that hold its text."""
RANK, SCORES_OF_ONE = ("rank",), ("score", "rating", "overall_score")
RANKS, SCORES = ("rank", "ranks"), ("score", "scores", "rating", "ratings")
ORDERS = ("ranking", "rankings")
"""Lists that some write as the place of each answer, and others as the answers in their order."""
PLACES = (*RANKS, *SCORES, *ORDERS)


def best_and_worst(data: dict[str, Any], key: str, unknown: set[str]) -> tuple[Any, Any]:
    """Of the answers of a row the one that is to be preferred, and the one that is to be rejected.

    Args:
        data: The row.
        key: Where its answers stand.
        unknown: Gets the keys of answers that nobody knows.

    Raises:
        ValueError: There are fewer than two, they have no rank or score, two share the best place, or two of what ranks
            them disagree.
    """
    answers = data[key]
    if len(answers) < 2:
        raise ValueError(f"{key} has {len(answers)} entries, expected two or more answers with a rank or a score")
    texts = [_text(answer, f"{key} entry {number} ", unknown) for number, answer in enumerate(answers)]
    found = {**_of_each(answers, key), **_beside(data, len(answers))}
    if not found:
        raise ValueError(
            f"{key} says of no answer how good it is: give each a rank or a score, or write ranks or scores beside them"
        )
    ends = {name: _ends(goodness, name) for name, goodness in found.items()}
    if len(set(ends.values())) > 1:
        raise ValueError(f"{' and '.join(ends)} disagree about the best or the worst answer; keep one of them")
    best, worst = next(iter(ends.values()))
    return texts[best], texts[worst]


def _text(answer: Any, where: str, unknown: set[str]) -> Any:
    if not isinstance(answer, dict):
        return answer
    named = [name for name in TEXTS if not is_empty(answer.get(name))]
    if len(named) != 1:
        raise ValueError(f"{where}has {' and '.join(named) or 'no text'}, expected one of {', '.join(TEXTS)}")
    check_keys(answer, (*named, *RANK, *SCORES_OF_ONE, "model"), where, unknown)
    return answer[named[0]]


def _of_each(answers: Sequence[Any], key: str) -> dict[str, list[float]]:
    """Name -> how good each answer is, from ranks and scores in the answers; more is better."""
    found = {}
    for name in (*RANK, *SCORES_OF_ONE):
        given = [answer.get(name) if isinstance(answer, dict) else None for answer in answers]
        if any(not is_empty(value) for value in given):
            found[f"{name} of {key}"] = _numbers(given, f"{name} of {key}", -1 if name in RANK else 1)
    return found


def _beside(data: dict[str, Any], number: int) -> dict[str, list[float]]:
    """The same from lists beside the answers."""
    found = {}
    for name in PLACES:
        given = data.get(name)
        if is_empty(given):
            continue
        if not isinstance(given, list) or len(given) != number:
            what = f"{len(given)} entries" if isinstance(given, list) else kind_of(given)
            raise ValueError(f"{name} has {what}, expected a list with a number for each of {number} answers")
        places = _numbers(given, name, 1 if name in SCORES else -1)
        if name in ORDERS:
            _check_order([-place for place in places], name)
        found[name] = places
    return found


def _numbers(given: Sequence[Any], name: str, sign: int) -> list[float]:
    """As they are: two large whole numbers may be one as floating-point numbers."""
    for position, value in enumerate(given):
        check_number(value, f"{name}, entry {position},")
    return [sign * value for value in given]


def _check_order(places: Sequence[float], name: str) -> None:
    """Refuse a list that names other answers where it is read as the answers in their order."""
    for position, place in enumerate(places):
        if place != int(place):
            raise ValueError(f"{name}, entry {position}, is {place}, expected a whole number")
    first = min(places)
    if first not in (0, 1) or sorted(places) != list(range(int(first), int(first) + len(places))):
        return
    if (places[0] - first, places[-1] - first) != (places.index(first), places.index(max(places))):
        raise ValueError(
            f"{name} may be the place of each answer or the answers in their order, and the two differ about the best "
            "or the worst; write ranks (the place of each, 1 is best) or scores"
        )


def _ends(goodness: Sequence[float], name: str) -> tuple[int, int]:
    """The best and the worst answer."""
    best, worst = max(goodness), min(goodness)
    if goodness.count(best) > 1:
        raise ValueError(f"{name}: {goodness.count(best)} answers share the best place: a tie, which prefers none")
    return goodness.index(best), goodness.index(worst)
