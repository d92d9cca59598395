"""What the registry remembers of earlier runs."""

from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Decision
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.replay import RunInputs, write_record
from evalsuite.items.results import EvalReport
from evalsuite.testing import make_item, make_result
from tasks.paths import ArtifactPaths
from tasks.registry.ledger import Event, Override, append, ledger_path, new_entry
from tasks.registry.past import MAX_CHAMPIONS, MAX_LINES, inputs_of_champion, read_past

POLICY = GatePolicy.model_validate({"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1}]})


@pytest.fixture
def paths(tmp_path: Path) -> ArtifactPaths:
    return ArtifactPaths(tmp_path)


def _report(name: str, right: int) -> EvalReport:
    items = [make_item(f"i{n}", {"exact": float(n < right)}) for n in range(80)]
    return EvalReport(name, name * 8, {"golden": make_result(items).table()}, {})


def promoted(paths: ArtifactPaths, name: str, right: int, inputs: RunInputs | None = None) -> Decision:
    """A stored decision with its verdict and promotion in the ledger."""
    paths.registry.mkdir(exist_ok=True)
    candidate, base = _report(name, right), _report("base", 40)
    decision = decide(candidate, {"base": base}, POLICY)
    write_record(paths.stored_decision(decision.decision_id), decision, candidate, {"base": base}, inputs)
    for event in (Event.VERDICT, Event.PROMOTE):
        append(paths, new_entry(event, decision, name, candidate.identity))
    return decision


def test_champions_come_with_the_metrics_that_their_decisions_judged(paths: ArtifactPaths) -> None:
    from scipy.stats import binomtest

    promoted(paths, "a", 60)
    promoted(paths, "b", 72)
    found = read_past(paths, "another")
    assert [(line.event, line.model) for line in found.lines] == [
        ("verdict", "a"), ("promote", "a"), ("verdict", "b"), ("promote", "b"),
    ]  # fmt: skip
    assert [(champion.model, champion.metrics[0].mean) for champion in found.champions] == [("a", 0.75), ("b", 0.9)]
    (metric,) = found.champions[0].metrics
    exact = binomtest(60, 80).proportion_ci(0.9)
    assert (metric.suite, metric.metric, metric.n) == ("golden", "exact", 80)
    assert (metric.lower, metric.upper) == (pytest.approx(exact.low), pytest.approx(exact.high))
    assert found.champions[0].metrics[0].items_sha256 == found.champions[1].metrics[0].items_sha256


def test_what_one_decision_led_to_is_left_out_so_that_its_report_stays_the_same(paths: ArtifactPaths) -> None:
    promoted(paths, "a", 60)
    before = read_past(paths, "0" * 64)
    own = promoted(paths, "b", 72)
    assert read_past(paths, own.decision_id) == before


def test_an_override_and_a_rollback_say_why(paths: ArtifactPaths) -> None:
    decision = promoted(paths, "a", 60)
    forced = new_entry(Event.PROMOTE, decision, "b", "b" * 8).model_copy(
        update={"override": Override(by="ann", reason="a fair trial"), "decision_id": "f" * 64}
    )
    append(paths, forced)
    append(paths, new_entry(Event.ROLLBACK, None, "a", "a" * 8).model_copy(update={"reason": "too slow"}))
    found = read_past(paths, "0" * 64)
    assert [line.note for line in found.lines] == ["", "", "override by ann: a fair trial", "too slow"]
    assert found.champions[1].metrics == (), "its decision is not stored"


def test_only_the_last_lines_and_champions_are_read(paths: ArtifactPaths) -> None:
    paths.registry.mkdir()
    for number in range(MAX_LINES + 5):
        entry = new_entry(Event.PROMOTE, None, f"m{number}", "a" * 8)
        append(paths, entry)
    found = read_past(paths, "0" * 64)
    assert (found.num_lines, len(found.lines), len(found.champions)) == (MAX_LINES + 5, MAX_LINES, MAX_CHAMPIONS)
    assert found.lines[-1].model == f"m{MAX_LINES + 4}"


def test_the_champions_run_is_the_one_of_its_last_promotion(paths: ArtifactPaths) -> None:
    promoted(paths, "a", 60, RunInputs(params={"train": {"seed": 1}}))
    promoted(paths, "b", 70)
    promoted(paths, "a", 62, RunInputs(params={"train": {"seed": 2}}))
    found = inputs_of_champion(paths, "a" * 8)
    assert found is not None
    assert found.params == {"train": {"seed": 2}}
    assert inputs_of_champion(paths, "b" * 8) is None, "its run recorded nothing"
    assert inputs_of_champion(paths, "c" * 8) is None, "nobody promoted it"


def test_a_decision_that_is_damaged_costs_its_metrics_and_no_report(paths: ArtifactPaths) -> None:
    decision = promoted(paths, "a", 60, RunInputs(params={}))
    paths.stored_decision(decision.decision_id).write_bytes(b"cut")
    assert read_past(paths, "0" * 64).champions[0].metrics == ()
    assert inputs_of_champion(paths, "a" * 8) is None


def test_a_damaged_ledger_is_refused_and_an_absent_one_is_an_empty_past(paths: ArtifactPaths) -> None:
    assert read_past(paths, "0" * 64).num_lines == 0
    promoted(paths, "a", 60)
    ledger_path(paths).write_text(ledger_path(paths).read_text().replace('"a"', '"b"'))
    with pytest.raises(UsageError, match="was changed after it was written"):
        read_past(paths, "0" * 64)
