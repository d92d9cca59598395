"""Scores of one output against its references, each in 0..1, higher better.

The functions are quick and need no model. ``metric_modules`` beside this file wraps them as ``evaluate.Metric``; what
needs a model (BERTScore, judges) is scored by ``scoring``.
"""

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from evalsuite.core.text import occurs, same_answer, words_of
from evalsuite.suites.golden_set.choices import chosen_letter
from evalsuite.suites.golden_set.metric_params import (
    BertThreshold,
    Choice,
    NoParams,
    Numeric,
    Params,
    Pattern,
    Rubric,
    Values,
)
from evalsuite.suites.golden_set.numbers import agrees, last_number

VERSION = "4"
"""Raised whenever a score could change; results with another version are not compared."""


class UnscoredError(Exception):
    """A metric that has no score for an output; the text is the reason, and never holds the output."""


class MetricContext(NamedTuple):
    """What a metric may know besides output and reference."""

    allowed_values: Mapping[str, frozenset[str]]
    """JSON field -> every value that the set's references give it."""


Metric = Callable[[str, str, MetricContext, Any], float]

ARTICLES = frozenset({"a", "an", "the"})
MAX_JSON_CHARACTERS = 20_000
MAX_CHARACTERS = 20_000
"""Longer outputs are not scored by the metrics whose time grows with the square of the length."""
PATTERN_SECONDS = 1.0
"""A pattern that takes longer on one output leaves the item unscored."""


def exact_match(output: str, reference: str, _context: MetricContext, _params: Params) -> float:
    """1.0 when the texts are equal but for surrounding white space."""
    return float(output.strip() == reference.strip())


def normalized_exact(output: str, reference: str, _context: MetricContext, _params: Params) -> float:
    """1.0 when the texts are equal but for case, sentence punctuation and white space (``evalsuite.core.text``)."""
    return float(same_answer(output, reference))


def json_exact(output: str, reference: str, _context: MetricContext, _params: Params) -> float:
    """1.0 when the whole output is the reference's JSON object, whatever the order of keys."""
    found = _object(output)
    return float(found is not None and _same(found, _object(reference)))


def json_fields(output: str, reference: str, _context: MetricContext, _params: Params) -> float:
    """Share of the reference's fields that are right; 0.0 when the output is no JSON object."""
    found, expected = _object(output), _object(reference)
    if found is None or not expected:
        return 0.0
    right = sum(1 for key, value in expected.items() if key in found and _same(found[key], value))
    return right / len(expected)


def json_schema(output: str, reference: str, context: MetricContext, _params: Params) -> float:
    """1.0 when the output is an object with exactly the reference's keys and only allowed values."""
    found, expected = _object(output), _object(reference)
    if found is None or expected is None or set(found) != set(expected):
        return 0.0
    return float(
        all(
            isinstance(value, str) and value in context.allowed_values.get(key, frozenset())
            for key, value in found.items()
        )
    )


def contains(output: str, reference: str, _context: MetricContext, _params: Params) -> float:
    """1.0 when the normalised reference occurs in the normalised output, as whole words."""
    return float(occurs(reference, output))


def contains_all(output: str, _reference: str, _context: MetricContext, params: Values) -> float:
    """1.0 when every one of ``values`` occurs, as ``contains`` has it."""
    return float(all(occurs(value, output) for value in params.values))


def contains_any(output: str, _reference: str, _context: MetricContext, params: Values) -> float:
    """1.0 when one of ``values`` occurs."""
    return float(any(occurs(value, output) for value in params.values))


def regex(output: str, _reference: str, _context: MetricContext, params: Pattern) -> float:
    """1.0 when the pattern is found in the output (or is the whole output, with ``whole``).

    Raises:
        UnscoredError: The pattern took longer than ``PATTERN_SECONDS``.
    """
    compiled = params.compiled()
    find = compiled.fullmatch if params.whole else compiled.search
    try:
        found = find(output.strip() if params.whole else output, timeout=PATTERN_SECONDS)
    except TimeoutError:
        raise UnscoredError(f"regex: the pattern took longer than {PATTERN_SECONDS:g} s") from None
    return float(found is not None)


def numeric(output: str, reference: str, _context: MetricContext, params: Numeric) -> float:
    """1.0 when the output's last number is the reference's, within the larger of both tolerances (``numbers``)."""
    found, expected = last_number(output), last_number(reference)
    if found is None or expected is None:
        return 0.0
    return float(agrees(found, expected, params.tolerance, params.relative_tolerance))


def token_f1(output: str, reference: str, _context: MetricContext, _params: Params) -> float:
    """F1 of the shared words, English articles aside, as SQuAD counts them (Rajpurkar et al. 2016, arXiv:1606.05250).

    Unlike evaluate-v2.0.py it keeps signs and symbols that tell words apart, and counts characters where a script has
    no spaces.
    """
    found, expected = _words(output), _words(reference)
    if not found or not expected:
        return float(same_answer(output, reference))
    shared = sum((Counter(found) & Counter(expected)).values())
    return 2 * shared / (len(found) + len(expected))


def chrf(output: str, reference: str, _context: MetricContext, _params: Params) -> float:
    """Sentence chrF of sacrebleu with its defaults (Popović 2015), divided by 100."""
    _check_length("chrf", output)
    return min(1.0, max(0.0, float(_chrf().sentence_score(output, [reference]).score) / 100))


def rouge_l(output: str, reference: str, _context: MetricContext, _params: Params) -> float:
    """F of the longest common subsequence of words (Lin 2004), by rouge_score without stemming.

    Its words are those of ``evalsuite.core.text``, so that C++ is not C#, nor -5 5.
    """
    _check_length("rouge_l", output)
    return float(_rouge().score(reference, output)["rougeL"].fmeasure)


def choice(output: str, reference: str, _context: MetricContext, params: Choice) -> float:
    """1.0 when the output chooses the reference's option, by letter or by the option's text (``choices``)."""
    wanted = chosen_letter(reference, params.options)
    return float(wanted is not None and chosen_letter(output, params.options) == wanted)


class TextMetric(NamedTuple):
    """A metric, and the parameters that an item may give it."""

    score: Metric
    params: type[Params]


TEXT_METRICS: dict[str, TextMetric] = {
    "exact_match": TextMetric(exact_match, NoParams),
    "normalized_exact": TextMetric(normalized_exact, NoParams),
    "json_exact": TextMetric(json_exact, NoParams),
    "json_fields": TextMetric(json_fields, NoParams),
    "json_schema": TextMetric(json_schema, NoParams),
    "contains": TextMetric(contains, NoParams),
    "contains_all": TextMetric(contains_all, Values),
    "contains_any": TextMetric(contains_any, Values),
    "regex": TextMetric(regex, Pattern),
    "numeric": TextMetric(numeric, Numeric),
    "token_f1": TextMetric(token_f1, NoParams),
    "chrf": TextMetric(chrf, NoParams),
    "rouge_l": TextMetric(rouge_l, NoParams),
    "choice": TextMetric(choice, Choice),
}
MODEL_METRICS: dict[str, type[Params]] = {
    "bertscore_f1": NoParams,
    "bertscore_pass": BertThreshold,
    "refusal_expected": NoParams,
    "refusal_not_expected": NoParams,
    "judge": Rubric,
}
"""Metrics that need a model beside the one that is judged."""
PARAMS: dict[str, type[Params]] = {name: metric.params for name, metric in TEXT_METRICS.items()} | MODEL_METRICS
KNOWN_METRICS = tuple(PARAMS)


def score_text(
    metric: str, output: str, references: Sequence[str], context: MetricContext, params: Params | None = None
) -> float:
    """The best score over the references.

    Raises:
        UnscoredError: The metric has no score for this output.
    """
    entry = TEXT_METRICS[metric]
    given = entry.params() if params is None else params
    try:
        return max(entry.score(output, reference, context, given) for reference in references)
    except ZeroDivisionError:
        raise UnscoredError(f"{metric}: divided by zero") from None


def _same(first: object, second: object) -> bool:
    """Equal as JSON: 1.0 is 1 and, unlike in Python, true is not; texts that Unicode calls equivalent are the same."""
    pairs = [(first, second)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            ones, others = _normal_keys(one), _normal_keys(other)
            if ones.keys() != others.keys() or len(ones) != len(one) or len(others) != len(other):
                return False
            pairs += [(value, others[key]) for key, value in ones.items()]
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif not _same_scalar(one, other):
            return False
    return True


def _normal_keys(value: Mapping[str, Any]) -> dict[str, Any]:
    return {unicodedata.normalize("NFC", key): each for key, each in value.items()}


def _same_scalar(one: object, other: object) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other and abs(one) < math.inf
    return one is None and other is None


def _words(text: str) -> list[str]:
    return [word for word in words_of(text) if word not in ARTICLES]


def _check_length(metric: str, output: str) -> None:
    if len(output) > MAX_CHARACTERS:
        raise UnscoredError(f"{metric}: an output of {len(output):,} characters, at most {MAX_CHARACTERS:,}")


@lru_cache(maxsize=1)
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


@lru_cache(maxsize=1)
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    class Words:
        """Those of ``evalsuite.core.text``: rouge_score's own drop signs, and every letter that is not ASCII."""

        def tokenize(self, text: str) -> list[str]:
            return words_of(text)

    return RougeScorer(["rougeL"], use_stemmer=False, tokenizer=Words())


def _object(text: str) -> dict[str, Any] | None:
    """The text as one JSON object; None when it is anything else."""
    if len(text) > MAX_JSON_CHARACTERS:
        return None
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
