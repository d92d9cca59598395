"""Whether the results that the report shows are the ones that were judged."""

from evalsuite.gate.pairing import Hashed, sort_by_id, table_sha256
from evalsuite.items.results import EvalReport
from evalsuite.report.data import ReportData


def changed_since(data: ReportData) -> tuple[str, ...]:
    """``MODEL/SUITE`` of every result whose scores are not those that the decision read.

    Suites of which the gate left items out (``decision.excluded``) are not looked at: their hashes cover fewer items.
    """
    decision = data.decision
    known: Hashed = []
    found = []
    for role in ("candidate", *decision.baselines):
        model = decision.candidate if role == "candidate" else role
        suites = {
            suite: result.table()
            for suite, result in data.results.get(model, {}).items()
            if f"{role}/{suite}" in decision.evidence and suite not in decision.excluded
        }
        report = sort_by_id(EvalReport(model, "", suites, {}))
        found += [
            f"{model}/{suite}"
            for suite, table in report.suites.items()
            if table_sha256(table, known) != decision.evidence[f"{role}/{suite}"]
        ]
    return tuple(found)
