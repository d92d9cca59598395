"""Evidence from files, ours or another tool's, and a decision on two of them.

| path | what it is |
|---|---|
| folder with suites (``evals/MODEL``) or with one suite's summary.json; its items.parquet | our own results |
| .csv, .jsonl | ``item_id`` and one column a metric; optional ``item_hash``, ``cluster``, ``slice_KEY`` and \
``denominator_METRIC`` columns; the latter makes METRIC a ratio of sums, whose own column holds the numerators |
| .jsonl with ``doc_id`` and ``metrics`` | per-sample results that ``lm_eval --log_samples`` writes |

An empty cell, null or absent key is unscored. What is not a number is refused with its line, never read as zero.
"""

import csv
import math
import re
import reprlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from evalsuite.errors import UsageError
from evalsuite.files import parse_json, read_json, sha256_file, sha256_json
from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Decision
from evalsuite.gate.policy import COSTS, GatePolicy
from evalsuite.results import LARGEST_SCORE, EvalReport, ScoreTable, SuiteInfo, read_results
from evalsuite.wrong_values import explain
from evalsuite.yaml_file import read_yaml

FOREIGN = (".csv", ".jsonl")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
SMALLEST, LARGEST = 1e-12, LARGEST_SCORE
"""Sizes of scores other than 0 between which cubes and sums stay finite."""
LARGEST_COST = sys.float_info.max
RESERVED = ("item_id", "item_hash", "cluster")
SLICE_PREFIX = "slice_"
DENOMINATOR_PREFIX = "denominator_"


@dataclass
class _Row:
    """One item of a foreign file."""

    item_id: str
    item_hash: str
    cluster: str = ""
    slices: dict[str, str] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    denominators: dict[str, float] = field(default_factory=dict)


def compare_files(baseline: Path, candidate: Path, policy: GatePolicy, suite: str | None = None) -> Decision:
    """Decide on two evidence files or folders.

    The baseline plays ``base``, and ``champion`` too where a rule asks for the champion.

    Args:
        baseline: What the candidate must not fall behind.
        candidate: What is judged.
        policy: The rules.
        suite: Suite that a CSV or JSONL file holds; the policy's only suite when absent.

    Raises:
        UsageError: A file cannot be read, no rule names its suite, or neither side has a rule's metric.
    """
    named = sorted({rule.suite for rule in policy.rules} - {COSTS})
    if suite is None and len(named) == 1:
        suite = named[0]
    if suite is not None and suite not in named:
        raise UsageError(
            f"--suite {suite!r} is named by no rule of the policy, which judges {', '.join(named) or 'costs alone'}; "
            "give one of these, or add a rule"
        )
    for path in (baseline, candidate):
        if suite is None and named and path.suffix.lower() in FOREIGN:
            raise UsageError(
                f"{path} holds one suite and the policy names {len(named)} ({', '.join(named)}); say which with "
                "--suite, or give folders that hold every suite"
            )
    reference, judged = load_evidence(baseline, "baseline", suite), load_evidence(candidate, "candidate", suite)
    stopped = next((name for name, table in judged.suites.items() if table.info.prefix is not None), None)
    if stopped is not None:
        # Only the project that declared the suite sequential may choose the method that goes with it.
        raise UsageError(
            f"{candidate}: suite {stopped!r} was evaluated sequentially; its project judges it (`ratchet gate check`), "
            "or evaluate it in full with sequential.suites: []"
        )
    found = sorted({*reference.suites, *judged.suites})
    if named and not set(named) & set(found):
        raise UsageError(
            f"{baseline} and {candidate} hold suites {', '.join(found)}, and no rule of the policy names any of them; "
            f"it judges {', '.join(named)}; correct `suite` in the policy, or give results of these suites"
        )
    _check_metrics(policy, judged, reference)
    baselines = {"base": reference}
    if any("champion" in (rule.against, rule.relative_to) for rule in policy.rules):
        baselines["champion"] = reference
    return decide(judged, baselines, policy)


def _check_metrics(policy: GatePolicy, candidate: EvalReport, baseline: EvalReport) -> None:
    """Refuse a metric that neither side's suite has: a misspelt rule, not a rule that waits for evidence."""
    for rule in policy.rules:
        tables = [report.suites[rule.suite] for report in (candidate, baseline) if rule.suite in report.suites]
        known = sorted({metric for table in tables for metric in table.scores})
        if tables and rule.metric not in known:
            raise UsageError(
                f"rule {rule.suite}/{rule.metric}: neither side has metric {rule.metric!r}; {rule.suite} has "
                f"{', '.join(known) or 'none'}; correct `metric` in the policy"
            )


def load_evidence(path: Path, name: str, suite: str | None = None) -> EvalReport:
    """Read one model's results; the module's docstring lists the formats.

    Args:
        path: File or folder.
        name: What the report calls the model.
        suite: Suite that a CSV or JSONL file holds; the file's stem when absent.

    Raises:
        UsageError: Nothing is at ``path``.
        UsageError: The content is not such evidence; the message has the file and the line.
    """
    if not path.exists():
        raise UsageError(f"no evidence at {path}; give a folder of results, a CSV or a JSONL file")
    if path.is_dir():
        return _own_report(path, name)
    if path.name == "items.parquet":
        return _own_report(path.parent, name)
    if path.suffix.lower() not in FOREIGN:
        raise UsageError(
            f"{path} ends in {path.suffix or 'nothing'!r}, expected a folder, items.parquet, .csv or .jsonl"
        )
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _jsonl_rows(path)
    suite = suite or path.stem
    return EvalReport(name, sha256_file(path), {suite: _table(path, suite, rows)}, costs={})


def load_policy(path: Path) -> GatePolicy:
    """Read a policy from YAML: its fields at the top, or under ``gate`` as in params.yaml.

    Raises:
        UsageError: No such file.
        UsageError: Not YAML, or a wrong key or value, with its dotted path.
    """
    try:
        data = read_yaml(path)
    except FileNotFoundError:
        raise UsageError(f"no policy at {path}; write one, or give params.yaml") from None
    prefix = ""
    if isinstance(data, dict) and "rules" not in data and "gate" in data:
        data, prefix = data["gate"], "gate."
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds {type(data).__name__}, expected a mapping with the key rules")
    try:
        return GatePolicy.model_validate(data)
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error, GatePolicy, prefix)}") from None


def read_costs(folder: Path) -> dict[str, float]:
    """The numbers in ``costs.json`` of an ``evals/MODEL`` folder; empty where there is none.

    Raises:
        UsageError: The file is not a JSON object, or a number in it is not finite.
    """
    path = folder / "costs.json"
    if not path.exists():
        return {}
    data = read_json(path, "ratchet run")
    if not isinstance(data, dict):
        raise UsageError(
            f"{path} holds {type(data).__name__}, expected an object of numbers; make it with `ratchet run`"
        )
    costs = {
        name: value
        for name, value in data.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "schema_version"
    }
    for name, value in costs.items():
        if not abs(value) <= LARGEST_COST:
            raise UsageError(
                f"{path}: {name} is {reprlib.repr(value)}, expected a size of at most {LARGEST_COST:g}; make it again "
                "with `ratchet run`"
            )
    return {name: float(value) for name, value in costs.items()}


def _own_report(folder: Path, name: str) -> EvalReport:
    single = (folder / "summary.json").exists()
    folders = [folder] if single else sorted(path.parent for path in folder.glob("*/summary.json"))
    if not folders:
        raise UsageError(
            f"no summary.json in {folder} or in a folder below it, so it holds no finished results; "
            "make them with `ratchet run`"
        )
    results = read_results(folders)
    identities = sorted({result.info.model_identity for result in results.values()})
    if len(identities) > 1:
        raise UsageError(f"{folder} holds results of different models: {', '.join(each[:12] for each in identities)}")
    suites = {suite: result.table() for suite, result in results.items()}
    return EvalReport(name, identities[0], suites, costs={} if single else read_costs(folder))


def _table(path: Path, suite: str, rows: Mapping[str, _Row]) -> ScoreTable:
    metrics = sorted({metric for row in rows.values() for metric in row.scores})
    if not rows:
        raise UsageError(f"{path} holds no items; expected one row an item")
    if not metrics:
        raise UsageError(f"{path} has no metric; expected item_id and at least one column of scores")
    items = list(rows.values())
    keys = sorted({key for row in items for key in row.slices})
    pairs = sorted((row.item_id, row.item_hash) for row in items)
    ratios = sorted({metric for row in items for metric in row.denominators})
    unknown = sorted(set(ratios) - set(metrics))
    if unknown:
        raise UsageError(
            f"{path}: column {DENOMINATOR_PREFIX}{unknown[0]} has no column {unknown[0]} with its numerators; metrics: "
            f"{', '.join(metrics)}"
        )
    return ScoreTable(
        info=SuiteInfo(suite=suite, suite_version="file", items_sha256=sha256_json(pairs)),
        item_ids=tuple(row.item_id for row in items),
        item_hashes=tuple(row.item_hash for row in items),
        clusters=tuple(row.cluster or row.item_id for row in items),
        slices={key: tuple(row.slices.get(key, "") for row in items) for key in keys},
        scores={metric: np.array([row.scores.get(metric, math.nan) for row in items]) for metric in metrics},
        applies={metric: np.ones(len(items), dtype=np.bool_) for metric in metrics},
        must_pass={},
        denominators={metric: np.array([row.denominators.get(metric, math.nan) for row in items]) for metric in ratios},
    )


def _csv_rows(path: Path) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            if len(set(header)) != len(header):
                twice = next(name for name in header if header.count(name) > 1)
                raise UsageError(f"{path}:1: column {twice!r} is there twice")
            for cells in reader:
                if not cells:
                    continue
                where = f"{path}:{reader.line_num}"
                if len(cells) != len(header):
                    raise UsageError(f"{where}: {len(cells)} cells, the header has {len(header)}")
                _add(rows, dict(zip(header, cells, strict=True)), where)
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: not CSV ({error})") from None
    return rows


def _json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                where = f"{path}:{number}"
                try:
                    data = parse_json(line)
                except (ValueError, RecursionError) as error:
                    raise UsageError(f"{where}: not JSON ({error})") from None
                if not isinstance(data, dict):
                    raise UsageError(f"{where}: {type(data).__name__}, expected an object")
                yield where, data
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None


def _jsonl_rows(path: Path) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    harness: list[tuple[str, dict[str, Any]]] = []
    for where, data in _json_lines(path):
        if "doc_id" in data and isinstance(data.get("metrics"), list):
            if not all(isinstance(name, str) for name in data["metrics"]):
                raise UsageError(f"{where}: metrics is {_short(data['metrics'])}, expected names")
            kept = ("doc_id", "metrics", "filter", "doc_hash", "prompt_hash", "target_hash")
            harness.append((where, {key: value for key, value in data.items() if key in {*kept, *data["metrics"]}}))
        else:
            _add(rows, data, where)
    if harness and rows:
        raise UsageError(f"{path} mixes lm-eval samples with other rows; give one kind a file")
    return _harness_rows(harness) if harness else rows


def _harness_rows(lines: list[tuple[str, dict[str, Any]]]) -> dict[str, _Row]:
    """lm-eval writes a document once a filter; with several, metrics get its own names for them: ``metric,filter``."""
    several = len({str(data.get("filter")) for _, data in lines}) > 1
    rows: dict[str, _Row] = {}
    for where, data in lines:
        item_id = str(data["doc_id"])
        digest = sha256_json([data.get(key) for key in ("doc_hash", "prompt_hash", "target_hash")])
        row = rows.setdefault(item_id, _Row(item_id, digest))
        if row.item_hash != digest:
            raise UsageError(f"{where}: doc_id {item_id} stands for two documents; give the file of one task")
        for metric in data["metrics"]:
            name = f"{metric},{data.get('filter')}" if several else str(metric)
            if name in row.scores:
                raise UsageError(f"{where}: doc_id {item_id} is there twice; give the file of one run")
            row.scores[name], denominator = _harness_score(data.get(metric), f"{where}: {name}")
            if denominator is not None:
                row.denominators[name] = denominator
    return rows


def _harness_score(value: Any, where: str) -> tuple[float, float | None]:
    """A sample's score: a number, or checks that hold and their number (IFEval); other values have none by item."""
    if isinstance(value, list):
        checks = value and all(check in (0, 1) for check in value)
        return (math.fsum(value), float(len(value))) if checks else (math.nan, None)
    return _score(value, where), None


def _add(rows: dict[str, _Row], data: Mapping[str, Any], where: str) -> None:
    item_id = data.get("item_id")
    if isinstance(item_id, bool) or not isinstance(item_id, str | int) or item_id == "":
        raise UsageError(f"{where}: item_id is {_short(item_id)}, expected a name that no other row has")
    if str(item_id) in rows:
        raise UsageError(f"{where}: item_id {str(item_id)!r} is there twice; every id must be unique")
    row = _Row(str(item_id), _label(data, "item_hash", where) or sha256_json([str(item_id)]))
    row.cluster = _label(data, "cluster", where)
    for name, value in data.items():
        if name.startswith(SLICE_PREFIX):
            row.slices[name.removeprefix(SLICE_PREFIX)] = _label(data, name, where)
        elif name.startswith(DENOMINATOR_PREFIX):
            row.denominators[name.removeprefix(DENOMINATOR_PREFIX)] = _denominator(value, f"{where}: {name}")
        elif name not in RESERVED:
            row.scores[name] = _score(value, f"{where}: {name}")
    rows[row.item_id] = row


def _label(data: Mapping[str, Any], name: str, where: str) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise UsageError(f"{where}: {name} is {_short(value)}, expected text")
    return str(value)


def _score(value: Any, where: str) -> float:
    """A finite number; NaN for an empty cell only."""
    given = value
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    if isinstance(value, str):
        text = value.strip().lower()
        value = {"true": 1.0, "false": 0.0}.get(text, text if NUMBER.fullmatch(text) else math.nan)
    try:
        score = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        score = math.nan
    if not math.isfinite(score):
        raise UsageError(f"{where} is {_short(given)}, expected a finite number, true, false or nothing for unscored")
    if score and not SMALLEST <= abs(score) <= LARGEST:
        raise UsageError(f"{where} is {_short(value)}, expected 0 or a size from {SMALLEST:g} to {LARGEST:g}")
    return score


def _denominator(value: Any, where: str) -> float:
    denominator = _score(value, where)
    if denominator < 0.0:
        raise UsageError(f"{where} is {_short(value)}, expected 0 or more, or nothing for unscored")
    return denominator


def _short(value: Any) -> str:
    text = reprlib.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
