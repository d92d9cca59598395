"""The text metrics as ``evaluate.Metric`` objects, for notebooks and trainers; no hub is asked.

``evaluate.load(NAME)`` fetches a script from the hub and runs it. These subclasses are local, and compute by the very
functions of ``evalsuite.suites.golden_set.metrics``.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import ValidationError

from evalsuite.core.errors import UsageError
from evalsuite.core.extensions import did_you_mean
from evalsuite.suites.golden_set.metrics import TEXT_METRICS, VERSION, MetricContext, score_text


def load_metric(
    name: str, params: Mapping[str, Any] | None = None, allowed_values: Mapping[str, frozenset[str]] | None = None
) -> Any:
    """A metric as an ``evaluate.Metric``.

    ``compute(predictions=[...], references=[[...], ...])`` returns ``{NAME: mean, "scores": one a prediction}``.

    Args:
        name: A text metric, such as ``token_f1``.
        params: Its parameters, as in a golden item.
        allowed_values: For ``json_schema``: field -> values that it may have.

    Raises:
        UsageError: No such metric, or its parameters are not what it takes.
    """
    if name not in TEXT_METRICS:
        hint = did_you_mean(name, TEXT_METRICS)
        raise UsageError(f"no text metric {name!r}; {hint}Known: {', '.join(TEXT_METRICS)}")
    try:
        checked = TEXT_METRICS[name].params.model_validate(dict(params or {}))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"metric {name!r}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return _metric_class()(name, checked, MetricContext(allowed_values or {}))


@cache
def _metric_class() -> type[Any]:
    import datasets
    import evaluate

    class TextMetricModule(evaluate.Metric):  # type: ignore[misc]  # evaluate is untyped
        def __init__(self, name: str, params: Any, context: MetricContext) -> None:
            self._name, self._params, self._context = name, params, context
            super().__init__(config_name=name)

        def _info(self) -> Any:
            return evaluate.MetricInfo(
                description=str(TEXT_METRICS[self._name].score.__doc__),
                citation=f"Ratchet metric {self._name}, version {VERSION}",
                features=datasets.Features(
                    {"predictions": datasets.Value("string"), "references": [datasets.Value("string")]}
                ),
            )

        def _compute(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Any]:
            scores = [
                score_text(self._name, prediction, wanted, self._context, self._params)
                for prediction, wanted in zip(predictions, references, strict=True)
            ]
            return {self._name: sum(scores) / len(scores), "scores": scores}

    return TextMetricModule
