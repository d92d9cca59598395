"""Recompute a stored decision from the item results that it was made from: no model, no GPU, no disk but one file."""

import gzip
import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from evalsuite.core.errors import MissingArtifactError, NotReplayedError, UsageError
from evalsuite.core.files import atomic_path, checked, parse_json, sha256_json
from evalsuite.core.imports import sources_sha256
from evalsuite.gate.decide import decide, decision_id
from evalsuite.gate.decision import Decision
from evalsuite.gate.policy import GatePolicy, foreign_code
from evalsuite.gate.selftest import with_self_test
from evalsuite.items.results import EvalReport, ScoreTable, SuiteInfo

DECIDING = ("evalsuite.gate.decide", "evalsuite.gate.selftest")
"""What makes a decision; with all that these import, the code that a decision depends on."""


class StoredSuite(BaseModel):
    """A ScoreTable; a score that is not finite is None."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    info: SuiteInfo
    item_ids: tuple[str, ...]
    item_hashes: tuple[str, ...]
    clusters: tuple[str, ...]
    slices: dict[str, tuple[str, ...]]
    scores: dict[str, tuple[float | None, ...]]
    applies: dict[str, tuple[bool, ...]]
    must_pass: dict[str, tuple[bool, ...]]
    denominators: dict[str, tuple[float | None, ...]] = {}
    reasons: dict[str, str] = {}


class StoredReport(BaseModel):
    """An EvalReport."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str
    identity: str
    suites: dict[str, StoredSuite]
    costs: dict[str, float]


class _Counts(BaseModel):
    """A part of data/prepared/report.json; what names or quotes rows is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class StepCounts(_Counts):
    """What one preparation step did, in rows."""

    name: str
    rows_in: int
    kept: int
    dropped: int
    changed: int = 0


class ReasonCount(_Counts):
    """Rows that were dropped for one reason."""

    count: int


class SplitCounts(_Counts):
    """One side of the split."""

    rows: int
    tokens: int
    longest: int = 0
    """Tokens of the longest row."""
    histogram_up_to_tokens: dict[str, int] = {}
    """Upper end of a bin in tokens, ``more`` for the last -> sequences; empty in decisions of earlier versions."""


class DataCounts(_Counts):
    """How many rows came in, where they went, and what was trained on."""

    sources: dict[str, str] = {}
    """Source -> sha256 of its bytes."""
    rows_read: int
    bad_rows: ReasonCount = ReasonCount(count=0)
    dropped: dict[str, ReasonCount] = {}
    """Reason -> rows."""
    steps: tuple[StepCounts, ...] = ()
    """In the order in which they ran; empty in reports of earlier versions."""
    splits: dict[str, SplitCounts]
    trail_md5: str = ""
    """md5 of data/prepared/trail.parquet, under which DVC keeps it: which row this run's models saw."""


class RunInputs(BaseModel):
    """What the run of a decision was made with, for whoever compares a later run with it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    params: dict[str, Any]
    """The sections of params.yaml that decide what a run does, defaults included."""
    data: DataCounts | None = None


class Record(BaseModel):
    """One decision with everything that it was made from; item texts are not in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    decision: Decision
    candidate: StoredReport
    baselines: dict[str, StoredReport]
    run: RunInputs | None = None
    """None in files of earlier versions; nothing that is decided depends on it."""


def gate_code_sha256(policy: GatePolicy | None = None) -> str:
    """Hash of the sources that decide, as they lie on this machine, with those of other packages' kinds in a policy."""
    own = sources_sha256(*DECIDING)
    others = foreign_code(policy.rules) if policy is not None else {}
    return sha256_json({"gate": own, "kinds": others}) if others else own


def write_record(
    path: Path,
    decision: Decision,
    candidate: EvalReport,
    baselines: Mapping[str, EvalReport],
    run: RunInputs | None = None,
) -> None:
    """Write a decision and its evidence so that ``path`` is complete or absent; the same decision gives the same bytes.

    Args:
        path: A gzip file of JSON.
        decision: What ``decide`` said.
        candidate: What it was given.
        baselines: What it was given.
        run: What the run was made with; None where there was no run.
    """
    record = Record(
        decision=decision,
        candidate=_stored(candidate),
        baselines={role: _stored(report) for role, report in sorted(baselines.items())},
        run=run,
    )
    text = json.dumps(record.model_dump(mode="json"), sort_keys=True, allow_nan=False, separators=(",", ":"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))


def read_record(path: Path) -> Record:
    """Read a stored decision.

    Raises:
        MissingArtifactError: The file is absent.
        UsageError: It is damaged, or its schema version is unknown.
    """
    if not path.is_file():
        raise MissingArtifactError(f"no stored decision at {path}; `ratchet history` lists the verdicts")
    try:
        data: Any = parse_json(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged ({error}); restore it from git or from a backup") from None
    return checked(data, Record, str(path), "ratchet run")


def replay(record: Record) -> Decision:
    """Decide again from the stored items and the stored policy, and compare every field.

    Raises:
        NotReplayedError: Something differs; every field that does is named, with the first values.
    """
    stored = record.decision
    candidate, baselines = reports_of(record)
    again = decide(
        candidate,
        baselines,
        stored.policy,
        num_candidates=stored.num_candidates,
        inputs_sha256=stored.inputs_sha256,
        code_sha256=gate_code_sha256(stored.policy),
        looks=stored.looks,
        excluded=stored.excluded,
        on_all_items=stored.on_all_items,
    )
    if stored.self_test is not None:
        again = with_self_test(again, candidate, baselines)
    problems = _differences(stored, again)
    if decision_id(stored) != stored.decision_id:
        problems.insert(0, "decision_id (the stored decision was changed after it was made)")
    if problems:
        raise NotReplayedError(
            f"decision {stored.decision_id[:16]} is not what its items give; it differs in: {'; '.join(problems)}"
        )
    return again


def reports_of(record: Record) -> tuple[EvalReport, dict[str, EvalReport]]:
    """The candidate's and the baselines' stored results."""
    return _report(record.candidate), {role: _report(report) for role, report in record.baselines.items()}


def _differences(stored: Decision, again: Decision) -> list[str]:
    """The fields that differ, in words; the id follows from the others and is left out."""
    found = []
    for name in Decision.model_fields:
        left, right = getattr(stored, name), getattr(again, name)
        if left == right or name == "decision_id":
            continue
        if name == "code_sha256":
            kinds = ", ".join(foreign_code(stored.policy.rules))
            others = f", and install the version of the package of kind {kinds} that it was made with" if kinds else ""
            found.append(
                f"code_sha256 (made by the gate's code {left[:12] or 'unknown'}, this is {right[:12]}: check out the "
                f"commit that made it{others})"
            )
        elif isinstance(left, dict) and isinstance(right, dict):
            keys = sorted(key for key in {*left, *right} if left.get(key) != right.get(key))
            found.append(f"{name} of {', '.join(keys)}")
        elif name == "reasons":
            rules = [a.rule for a, b in zip(left, right, strict=False) if a != b] or ["their number"]
            found.append(f"reasons ({rules[0]}" + (f" and {len(rules) - 1} more)" if len(rules) > 1 else ")"))
        else:
            found.append(f"{name} ({str(left)[:60]!r} stored, {str(right)[:60]!r} now)")
    return found


def _stored(report: EvalReport) -> StoredReport:
    return StoredReport(
        model=report.model,
        identity=report.identity,
        costs={name: float(value) for name, value in report.costs.items() if math.isfinite(value)},
        suites={
            name: StoredSuite(
                info=table.info,
                item_ids=table.item_ids,
                item_hashes=table.item_hashes,
                clusters=table.clusters,
                slices=dict(table.slices),
                scores=_numbers(table.scores),
                denominators=_numbers(table.denominators),
                reasons=dict(table.reasons),
                applies={metric: tuple(bool(flag) for flag in column) for metric, column in table.applies.items()},
                must_pass={metric: tuple(bool(flag) for flag in column) for metric, column in table.must_pass.items()},
            )
            for name, table in report.suites.items()
        },
    )


def _numbers(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, tuple[float | None, ...]]:
    return {
        metric: tuple(float(number) if math.isfinite(number) else None for number in column)
        for metric, column in columns.items()
    }


def _columns(stored: Mapping[str, tuple[float | None, ...]]) -> dict[str, NDArray[np.float64]]:
    return {
        metric: np.array([math.nan if number is None else number for number in column], dtype=np.float64)
        for metric, column in stored.items()
    }


def _report(stored: StoredReport) -> EvalReport:
    suites = {}
    for name, suite in stored.suites.items():
        scores, denominators = _columns(suite.scores), _columns(suite.denominators)
        applies, must_pass = (
            {metric: np.array(column, dtype=np.bool_) for metric, column in flags.items()}
            for flags in (suite.applies, suite.must_pass)
        )
        flags_and_scores = [*scores.values(), *denominators.values(), *applies.values(), *must_pass.values()]
        columns = [suite.item_ids, suite.item_hashes, suite.clusters, *suite.slices.values(), *flags_and_scores]
        if len({len(column) for column in columns}) > 1:
            raise NotReplayedError(f"suite {name!r} of {stored.model} has columns of different lengths")
        if not scores.keys() <= applies.keys():
            lost = min(scores.keys() - applies.keys())
            raise NotReplayedError(f"suite {name!r} of {stored.model} does not say which items {lost!r} applies to")
        suites[name] = ScoreTable(
            info=suite.info,
            slices=suite.slices,
            scores=scores,
            applies=applies,
            must_pass=must_pass,
            denominators=denominators,
            reasons=suite.reasons,
            item_ids=suite.item_ids,
            item_hashes=suite.item_hashes,
            clusters=suite.clusters,
        )
    return EvalReport(stored.model, stored.identity, suites, stored.costs)
