"""Scores of one output against its references, each in 0..1, higher better."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

VERSION = "1"
"""Raised whenever a score could change; results with another version are not compared."""


class MetricContext(NamedTuple):
    """What a metric may know besides output and reference."""

    allowed_values: Mapping[str, frozenset[str]]
    """JSON field -> every value that the set's references give it."""


Metric = Callable[[str, str, MetricContext], float]

NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
MAX_JSON_CHARACTERS = 20_000


def exact_match(output: str, reference: str, _context: MetricContext) -> float:
    """1.0 when the texts are equal but for surrounding white space."""
    return float(output.strip() == reference.strip())


def normalized_exact(output: str, reference: str, _context: MetricContext) -> float:
    """1.0 when the texts are equal but for case, punctuation and white space."""
    return float(_normalised(output) == _normalised(reference))


def json_exact(output: str, reference: str, _context: MetricContext) -> float:
    """1.0 when the whole output is the reference's JSON object, whatever the order of keys."""
    found = _object(output)
    return float(found is not None and _same(found, _object(reference)))


def json_fields(output: str, reference: str, _context: MetricContext) -> float:
    """Share of the reference's fields that are right; 0.0 when the output is no JSON object."""
    found, expected = _object(output), _object(reference)
    if found is None or not expected:
        return 0.0
    right = sum(1 for key, value in expected.items() if key in found and _same(found[key], value))
    return right / len(expected)


def json_schema(output: str, reference: str, context: MetricContext) -> float:
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


def contains(output: str, reference: str, _context: MetricContext) -> float:
    """1.0 when the normalised reference occurs in the normalised output, as whole words."""
    return float(f" {_normalised(reference)} " in f" {_normalised(output)} ")


def numeric(output: str, reference: str, _context: MetricContext) -> float:
    """1.0 when the output's last number equals the reference to a relative 1e-6."""
    found, expected = NUMBER.findall(output), NUMBER.findall(reference)
    if not found or not expected:
        return 0.0
    return float(math.isclose(_number(found[-1]), _number(expected[-1]), rel_tol=1e-6, abs_tol=1e-9))


TEXT_METRICS: dict[str, Metric] = {
    "exact_match": exact_match,
    "normalized_exact": normalized_exact,
    "json_exact": json_exact,
    "json_fields": json_fields,
    "json_schema": json_schema,
    "contains": contains,
    "numeric": numeric,
}
MODEL_METRICS = ("bertscore_f1",)
"""Metrics that need an embedding model; scored by ``evalsuite.suites.bertscore``."""
KNOWN_METRICS = (*TEXT_METRICS, *MODEL_METRICS)


def score_text(metric: str, output: str, references: Sequence[str], context: MetricContext) -> float:
    """The best score over the references."""
    return max(TEXT_METRICS[metric](output, reference, context) for reference in references)


def _same(first: object, second: object) -> bool:
    """Equal as JSON: unlike Python, true is not 1."""
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _normalised(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", text.casefold()).split())


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
