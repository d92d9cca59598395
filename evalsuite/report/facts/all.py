"""Every fact of the report, worked out once."""

from evalsuite.comparison.rows import ModelRow
from evalsuite.contamination.overlap import ItemFinding
from evalsuite.report.data import Command, Past, ReportData
from evalsuite.report.facts.history import Timeline, timelines_of
from evalsuite.report.facts.lineage import ParamsFact, params_of
from evalsuite.report.facts.measured import Fact, changed_results, tables_of
from evalsuite.report.facts.prepared import DataFact, prepared_of
from evalsuite.report.facts.safety import BiasRow, SafetyPoint, bias_of, safety_of
from evalsuite.report.facts.suites import SuiteFact, suites_of
from evalsuite.report.facts.tradeoff import Tradeoff, tradeoff_of

MAX_PAIRS = 50
"""Contaminated items listed of each suite; the rest is counted."""


class ContaminatedSuite(Fact):
    """Items of one suite that training rows give away."""

    suite: str
    num_items: int
    num_contaminated: int
    run_words: int
    """Words in a row that an item and a training row must share."""
    pairs: tuple[ItemFinding, ...]
    """Each item with its training row, at most ``MAX_PAIRS``."""


class ContaminationFact(Fact):
    """What was looked for and found."""

    num_rows: int
    """Training rows."""
    embedding: str | None
    """Model that looked for rephrased items; None where nobody did."""
    suites: tuple[ContaminatedSuite, ...]


class Facts(Fact):
    """What the report says beyond the decision and the comparison."""

    changed_results: tuple[str, ...]
    """Folders whose scores are not those that the decision was made from; empty where the report is true."""
    suites: tuple[SuiteFact, ...]
    tradeoff: Tradeoff | None
    """None where no method's quality and cost are known."""
    safety: tuple[SafetyPoint, ...]
    bias: tuple[BiasRow, ...]
    contamination: ContaminationFact | None
    """None where nobody looked."""
    data: DataFact | None
    params: ParamsFact
    commands: tuple[Command, ...]
    past: Past
    timelines: tuple[Timeline, ...]

    @property
    def planned(self) -> int:
        """Items of the suites that could stop early."""
        return sum(suite.stopped.planned for suite in self.suites if suite.stopped)

    @property
    def evaluated(self) -> int:
        """Items of those that the candidate had to answer."""
        return sum(suite.stopped.evaluated for suite in self.suites if suite.stopped)


def facts_of(data: ReportData) -> Facts:
    """Work out every fact.

    Raises:
        UsageError: The contamination report is not of these results.
    """
    tables = tables_of(data)
    models: tuple[ModelRow, ...] = (*data.comparison.baselines, *data.comparison.methods)
    suites = suites_of(data, tables, models)
    return Facts(
        changed_results=changed_results(data, tables),
        suites=suites,
        tradeoff=tradeoff_of(data, tables),
        safety=safety_of(data, tables, models),
        bias=bias_of(suites),
        contamination=_contamination(data),
        data=prepared_of(data),
        params=params_of(data),
        commands=data.commands,
        past=data.past,
        timelines=timelines_of(data, tables),
    )


def _contamination(data: ReportData) -> ContaminationFact | None:
    found = data.contamination
    if found is None:
        return None
    suites = tuple(
        ContaminatedSuite(
            suite=suite.suite,
            num_items=suite.num_items,
            num_contaminated=suite.num_contaminated,
            run_words=suite.run_words,
            pairs=tuple(item for item in suite.items if item.contaminated)[:MAX_PAIRS],
        )
        for suite in found.suites
    )
    return ContaminationFact(num_rows=found.num_rows, embedding=found.embedding, suites=suites)
