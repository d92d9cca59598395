"""The report as JSON: everything that the page shows, under one published schema."""

import json
from datetime import datetime
from typing import Any, Literal

from evalsuite.comparison.rows import Comparison
from evalsuite.gate.decision import Decision
from evalsuite.report.build import NEXT_STEPS, VERDICT_WORDS
from evalsuite.report.data import ReportData, TrainingRun
from evalsuite.report.facts.all import Facts, facts_of
from evalsuite.report.facts.changed import ChangedSuite, FailedItem, changed_of, failed_must_pass, flip_groups
from evalsuite.report.facts.measured import Fact
from evalsuite.report.sentences import headline
from evalsuite.report.units import Units, point_metrics

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


class ReportDocument(Fact):
    """What ``ratchet report --json`` prints, and ``ratchet report --schema`` the JSON schema of.

    Scores are the metrics' own, from 0 to 1 where the page says points.
    """

    schema_version: Literal[1] = 1
    verdict: Literal["PROMOTE", "REJECT", "INCONCLUSIVE"]
    out_of_date: bool
    """Whether results changed since the decision was made, so that the verdict is not about them."""
    headline: str
    """Why, in one line."""
    meaning: str
    next_step: str
    decision: Decision
    comparison: Comparison
    facts: Facts
    changed_items: tuple[ChangedSuite, ...]
    """Items that broke and were fixed, by suite and baseline, with what both sides said."""
    failed_must_pass: tuple[FailedItem, ...]
    training: dict[str, TrainingRun]
    plans: dict[str, Any]
    params: dict[str, Any]
    base_model: str
    licence: str | None
    licence_from: str
    datasets: tuple[str, ...]
    git_commit: str
    written: datetime | None
    versions: dict[str, str]


def document_of(data: ReportData) -> ReportDocument:
    """Everything that the page shows.

    Raises:
        UsageError: The contamination report is not of these results.
    """
    facts = facts_of(data)
    return ReportDocument(
        verdict=data.decision.verdict.value,
        out_of_date=bool(facts.changed_results),
        headline=headline(data.decision, Units(point_metrics(data.results))),
        meaning=VERDICT_WORDS[data.decision.verdict],
        next_step=NEXT_STEPS[data.decision.verdict],
        decision=data.decision,
        comparison=data.comparison,
        facts=facts,
        changed_items=changed_of(flip_groups(data)),
        failed_must_pass=failed_must_pass(data),
        training=dict(data.training),
        plans=dict(data.plans),
        params=dict(data.params),
        base_model=data.base_model,
        licence=data.licence,
        licence_from=data.licence_from,
        datasets=data.datasets,
        git_commit=data.git_commit,
        written=data.written,
        versions=dict(data.versions),
    )


def as_json(document: ReportDocument) -> str:
    """Indented JSON in ASCII, so that no character of a model's output acts on a terminal."""
    return json.dumps(document.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"


def report_schema() -> str:
    """The JSON schema of ``ReportDocument``, as JSON."""
    schema = {"$schema": SCHEMA_ID, **ReportDocument.model_json_schema(mode="serialization")}
    return json.dumps(schema, indent=2) + "\n"
