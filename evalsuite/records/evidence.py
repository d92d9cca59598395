"""Evidence from files, ours or another tool's, and a decision on two of them.

| path | what it is |
|---|---|
| folder with suites (``evals/MODEL``) or with one suite's summary.json; its items.parquet | our own results |
| .csv, .tsv, .jsonl, .json, gzipped too | ``item_id`` (or another tool's one column of ids), one column per metric; \
optional ``item_hash``, ``cluster``, ``slice_KEY`` and ``denominator_METRIC`` columns; the latter makes METRIC a ratio \
of sums, whose own column holds the numerators |
| .jsonl with ``doc_id`` | per-sample results that ``lm_eval --log_samples`` writes |

An empty cell, null or absent key is unscored. What is not a number is refused with its line, never read as zero.
"""

import reprlib
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from evalsuite.core.direction import Direction
from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_json, sha256_file
from evalsuite.core.wrong_values import explain
from evalsuite.core.yaml_file import read_yaml
from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Decision
from evalsuite.gate.directions import unclear_rule
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.rules import COSTS, Rule
from evalsuite.items.results import EvalReport, read_results
from evalsuite.records.files import ENDINGS, is_foreign, read_records
from evalsuite.records.rows import table_of_records

LARGEST_COST = sys.float_info.max


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
            f"--suite {suite!r} appears in no rule of the policy, which judges {', '.join(named) or 'costs alone'}; "
            "give one of these, or add a rule"
        )
    for path in (baseline, candidate):
        if suite is None and named and is_foreign(path):
            raise UsageError(
                f"{path} holds one suite and the policy names {len(named)} ({', '.join(named)}); name the suite "
                "with --suite, or give folders that hold every suite"
            )
    wanted = frozenset(rule.metric for rule in policy.rules)
    reference = load_evidence(baseline, "baseline", suite, wanted)
    judged = load_evidence(candidate, "candidate", suite, wanted)
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
                f"{', '.join(map(_in_yaml, known)) or 'none'}; correct `metric` in the policy"
            )
        unclear = unclear_rule(rule) if tables else None
        if unclear is not None:
            raise UsageError(unclear)
        _check_scales(rule, candidate, baseline)


def _in_yaml(name: str) -> str:
    """As it is written in a policy: lm-eval's ``metric,filter`` takes quotes inside braces."""
    return f'"{name}"' if "," in name else name


def _check_scales(rule: Rule, candidate: EvalReport, baseline: EvalReport) -> None:
    """Refuse a fraction beside percent or counts, where the larger scale would win."""
    if not rule.paired:
        return
    tables = [report.suites.get(rule.suite) for report in (candidate, baseline)]
    if any(table is None or rule.metric in table.denominators for table in tables):
        return
    found = [table.scores.get(rule.metric, np.empty(0)) for table in tables if table is not None]
    finite = [scores[np.isfinite(scores)] for scores in found]
    if any(scores.size == 0 for scores in finite):
        return
    # A loss may well fall below 1; a fraction that is better higher never rises above it.
    higher = rule.direction is Direction.HIGHER
    (large, small), most = (finite, 1.0) if higher else (finite[::-1], 10.0)
    if small.min() >= 0.0 and small.max() <= 1.0 and large.max() > most:
        sides = ("candidate", "baseline") if higher else ("baseline", "candidate")
        raise UsageError(
            f"rule {rule.suite}/{rule.metric}: the {sides[1]}'s scores lie between 0 and 1 and the {sides[0]}'s reach "
            f"{large.max():g}: the scales differ; give both on the same scale (counts with a column "
            f"denominator_{rule.metric} are one)"
        )


def load_evidence(path: Path, name: str, suite: str | None = None, wanted: Collection[str] | None = None) -> EvalReport:
    """Read one model's results; the module's docstring lists the formats.

    Args:
        path: File or folder.
        name: What the report calls the model.
        suite: Suite that a CSV or JSONL file holds; the file's stem when absent.
        wanted: Metrics that somebody asks for; what else is in a CSV or JSONL file need not be scores. All when None.

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
    if not is_foreign(path):
        raise UsageError(
            f"{path} ends in {path.suffix or 'nothing'!r}, expected a folder, items.parquet, or a file that ends in "
            f"{', '.join(ENDINGS)}, gzipped (.gz) or not"
        )
    suite = suite or path.name.removesuffix(".gz").rpartition(".")[0]
    table = table_of_records(path, suite, read_records(path, wanted))
    return EvalReport(name, sha256_file(path), {suite: table}, costs={})


def load_policy(path: Path) -> GatePolicy:
    """Read a policy from YAML: its fields at the top, or under ``gate`` as in params.yaml.

    Raises:
        UsageError: There is no such file.
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
        raise UsageError(
            f"{path} has no keys, expected the key `rules` with a list of rules (`ratchet help params`, gate)"
        )
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
