"""The golden set's dev split, which selects an epoch."""

import difflib

from evalsuite.core.errors import UsageError
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
        near = difflib.get_close_matches(select_metric, known, n=1)
        hint = f" did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"train.select_metric = {select_metric!r}: no item of {params.path}/dev.jsonl has it;{hint} metrics there: "
            f"{', '.join(known)}"
        )
    return suite
