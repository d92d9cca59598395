"""The golden set's dev split, which selects an epoch."""

from evalsuite.core.errors import UsageError
from evalsuite.core.extensions import did_you_mean
from evalsuite.suites.golden_set.settings import GoldenParams
from evalsuite.suites.golden_set.suite import GoldenSuite, golden_suite


def dev_suite(params: GoldenParams, select_metric: str) -> GoldenSuite:
    """The dev split, which selects an epoch by ``select_metric``.

    Raises:
        UsageError: The set is malformed, or no dev item has the metric.
    """
    suite = golden_suite(params, "dev")
    known = suite.metric_names()
    if select_metric not in known:
        hint = did_you_mean(select_metric, known)
        raise UsageError(
            f"train.select_metric = {select_metric!r}: no item of {params.path}/dev.jsonl has it; {hint}metrics there: "
            f"{', '.join(known)}"
        )
    return suite
