"""What a decision is made from: reads every result, writes reports/decision.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from evalsuite.comparison.rows import SeedSet
from evalsuite.contamination.overlap import ContaminationReport, clean_report, read_contamination
from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_json, read_model, write_json
from evalsuite.core.identity import read_manifest
from evalsuite.gate.decide import decide, decision_id
from evalsuite.gate.decision import Decision
from evalsuite.gate.feasibility import unknown_rules
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.replay import DataCounts, RunInputs, gate_code_sha256, write_record
from evalsuite.gate.selftest import with_self_test
from evalsuite.items.results import EvalReport, read_report
from evalsuite.records.evidence import read_costs
from tasks.config.methods import NAME
from tasks.paths import ArtifactPaths
from tasks.pin import read_pin
from tasks.registry.ledger import ledger_path, looks_before, read_ledger

MAKE_COMPARISON = "ratchet stage compare"
MAKE_CONTAMINATION = "ratchet stage contamination"
MAKE_DATA = "ratchet stage prepare"


class Evidence(NamedTuple):
    """What a decision is made from."""

    candidate: EvalReport
    baselines: dict[str, EvalReport]
    num_candidates: int
    inputs_sha256: str
    complete: "Evidence | None" = None
    """The same with the items that training rows give away; None where there are none."""
    excluded: Mapping[str, int] = {}

    @property
    def item_sets(self) -> dict[str, str]:
        """Suite -> hash of its items."""
        return {suite: table.info.items_sha256 for suite, table in sorted(self.candidate.suites.items())}


def run(policy: GatePolicy, paths: ArtifactPaths) -> Decision:
    """Judge, write reports/decision.json, and keep the decision with its evidence for replay; errors of ``gather``.

    Raises:
        UsageError: A rule names a suite or metric that was not evaluated; nothing is written.
        SelfTestError: The gate failed its self-test; nothing is written.
    """
    evidence = gather(paths)
    _check_names(policy, evidence)
    looks = looks_before(read_ledger(ledger_path(paths)), evidence.item_sets, evidence.candidate.identity)
    decision = with_self_test(_decide(policy, evidence, looks), evidence.candidate, evidence.baselines)
    stored = paths.stored_decision(decision.decision_id)
    write_record(stored, decision, evidence.candidate, evidence.baselines, run_inputs(paths))
    write_json(paths.decision, decision)
    return decision


def run_inputs(paths: ArtifactPaths) -> RunInputs | None:
    """What this run is made with; None where an earlier version pinned its champion.

    Raises:
        MissingArtifactError, UsageError: The pin, or the data report that is there, is not what it should be.
    """
    params, data = read_pin(paths).params, data_counts(paths)
    return None if params is None else RunInputs(params=params, data=data)


def data_counts(paths: ArtifactPaths) -> DataCounts | None:
    """What preparation did; None where it left no report."""
    report = paths.data_report
    return read_model(report, DataCounts, MAKE_DATA) if report.is_file() else None


def judge_again(earlier: Decision, paths: ArtifactPaths) -> Decision:
    """Judge what ``gather`` finds, with the policy and looks of an earlier decision; the same files give the same one.

    The self-test is the earlier decision's: it was passed, or there were no decision. The id covers it.
    """
    again = _decide(earlier.policy, gather(paths), earlier.looks).model_copy(update={"self_test": earlier.self_test})
    return again.model_copy(update={"decision_id": decision_id(again)})


def gather(paths: ArtifactPaths) -> Evidence:
    """The chosen candidate, the base model, and the champion when the run is pinned to one, without contaminated items.

    Raises:
        UsageError: A larger share of a suite is contaminated than params allow.
        MissingArtifactError: A stage before this one has not run.
        UsageError: One of its files is not what it should be, or results belong to other bytes.
    """
    comparison = _object(paths.comparison, MAKE_COMPARISON)
    pin = read_pin(paths)
    candidate, methods = comparison.get("candidate"), comparison.get("methods")
    if not isinstance(candidate, str) or not NAME.fullmatch(candidate):
        raise UsageError(f"{paths.comparison}: candidate is {candidate!r}, expected a method; run `{MAKE_COMPARISON}`")
    if not isinstance(methods, list) or not methods:
        raise UsageError(f"{paths.comparison}: methods is {methods!r}, expected a list; run `{MAKE_COMPARISON}`")
    baselines = read_baselines(paths)
    identity = _exported(paths, candidate, f"ratchet stage train@{candidate}")
    others = _other_seeds(comparison, paths)
    complete = Evidence(_report(paths, candidate, identity), baselines, len(methods) - others, pin.inputs_sha256)
    _check_declared(complete.candidate, paths)
    return _clean(complete, read_contamination(paths.contamination, MAKE_CONTAMINATION))


def _other_seeds(comparison: Mapping[str, Any], paths: ArtifactPaths) -> int:
    """Methods that were no candidates: of those that differ in the seed alone, dev items chose one."""
    sets = comparison.get("seed_sets", [])
    try:
        found = [SeedSet.model_validate(each) for each in sets]
    except (ValidationError, TypeError):
        raise UsageError(f"{paths.comparison}: seed_sets is not what it should be; run `{MAKE_COMPARISON}`") from None
    return sum(len(each.members) - 1 for each in found)


def read_baselines(paths: ArtifactPaths) -> dict[str, EvalReport]:
    """The base model's results, and the champion's when this run is pinned to one; raises like ``gather``."""
    pin = read_pin(paths)
    baselines = {"base": _report(paths, "base", _exported(paths, "base", "ratchet stage fetch"))}
    if pin.champion is not None:
        baselines["champion"] = _report(paths, "champion", pin.champion.identity)
    return baselines


def _check_names(policy: GatePolicy, evidence: Evidence) -> None:
    """Refuse a rule on what nobody evaluated: a slip of the pen is no finding, and its verdict would be kept."""
    known: dict[str, set[str]] = {}
    for report in (evidence.candidate, *evidence.baselines.values()):
        for suite, table in report.suites.items():
            known.setdefault(suite, set()).update(table.scores)
    unknown = unknown_rules(policy, known)
    if unknown:
        raise UsageError(f"gate.rules: {'; '.join(unknown)}; fix params.yaml, then `ratchet run`")


def _check_declared(candidate: EvalReport, paths: ArtifactPaths) -> None:
    """Only params choose the method: a result may be a sequential one where they say so."""
    from tasks.stop_plan import read_stopping

    stopped = [name for name, table in candidate.suites.items() if table.info.prefix is not None]
    if not stopped:
        return
    policy = read_stopping(paths).policy
    declared = policy.params.suites if policy is not None else ()
    for name in stopped:
        if name not in declared:
            raise UsageError(
                f"suite {name!r} of {candidate.model} says it was evaluated sequentially, and sequential.suites is "
                f"{list(declared)}; evaluate it again: `ratchet stage evaluate@{candidate.model} --force`"
            )


def _clean(complete: Evidence, found: ContaminationReport) -> Evidence:
    found.check_limit()
    candidate = clean_report(complete.candidate, found)
    baselines = {role: clean_report(report, found) for role, report in complete.baselines.items()}
    if not found.excluded:
        return complete
    return complete._replace(candidate=candidate, baselines=baselines, complete=complete, excluded=found.excluded)


def _decide(policy: GatePolicy, evidence: Evidence, looks: Mapping[str, int]) -> Decision:
    on_all_items = "" if evidence.complete is None else _decide(policy, evidence.complete, looks).headline
    return decide(
        evidence.candidate,
        evidence.baselines,
        policy,
        num_candidates=evidence.num_candidates,
        inputs_sha256=evidence.inputs_sha256,
        code_sha256=gate_code_sha256(policy),
        looks=looks,
        excluded=evidence.excluded,
        on_all_items=on_all_items,
    )


def _object(path: Path, made_by: str) -> dict[str, Any]:
    data = read_json(path, made_by)
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds {type(data).__name__}, expected an object; make it again with `{made_by}`")
    return data


def _exported(paths: ArtifactPaths, model: str, made_by: str) -> str:
    return read_manifest(paths.export(model), made_by).identity


def _report(paths: ArtifactPaths, model: str, identity: str) -> EvalReport:
    folder = paths.evals(model)
    stage = "evaluate_baseline" if model in ("base", "champion") else "evaluate"
    return read_report(model, folder, identity, read_costs(folder), f"ratchet stage {stage}@{model}")
