"""A kind of rule from outside: a class of at most thirty lines and its entry point, and nothing changed here."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from evalsuite.core.errors import NotReplayedError, UsageError
from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Decision, Verdict
from evalsuite.gate.feasibility import KnownSet, impossible_rules
from evalsuite.gate.policy import rule_class
from evalsuite.gate.replay import gate_code_sha256, read_record, replay, write_record
from evalsuite.gate.rules import Outcome
from evalsuite.gate.selftest import with_self_test
from evalsuite.gate_tools.power import plan_power
from evalsuite.report.sentences import sentence
from evalsuite.report.units import Units
from tasks.config.params import parse_params
from tasks.paths import ArtifactPaths
from tasks.preflight import outside_inputs as inputs
from tests.evalsuite.gate.finite_sets import first, make_items, report_of, result_of
from tests.evalsuite.gate.test_decide import GUARD, binary, policy, report

EQUIVALENCE = '''
from pydantic import Field

from evalsuite.gate.rules import Guard, Outcome, Wording


class Equivalence(Guard):
    """Neither a loss above ``margin`` nor a gain above ``most``: two one-sided tests."""

    kind: str = "equivalence"
    most: float = Field(gt=0.0)
    words = Wording(
        size="margin",
        proven="proven to be equivalent",
        broken="proven not to be equivalent",
        open="a change beyond {} is not excluded",
        holds="to have changed by no more than {}",
        fails="to have changed by more than {}",
    )

    def outcome(self, lower: float, upper: float, part: str | None = None) -> Outcome:
        if -self.size(part) < lower and upper < self.most:
            return Outcome.PASS
        if upper < -self.size(part) or lower > self.most:
            return Outcome.FAIL
        return Outcome.UNDECIDED
'''
BROKEN = """
from evalsuite.gate.rules import Floor, Guard


class Falls(Guard):
    kind: str = "falls"

    def outcome(self, lower, upper, part=None):
        return 1 / 0


class Divides(Floor):
    kind: str = "divides"

    def threshold(self, part=None):
        return 1 / 0


class Plain(Guard):
    kind: str = "plain"

    def outcome(self, lower, upper, part=None):
        return super().outcome(lower, upper, part).value


class Window(Floor):
    kind: str = "window"

    def outcome(self, lower, upper, part=None):
        return super().outcome(lower, upper, part)


class Odd(Guard):
    kind: str = "odd"

    def outcome(self, lower, upper, part=None):
        return "perhaps"


class Other(Guard):
    kind: str = "another"


class Nothing:
    pass
"""
BROKEN_CLASSES = re.findall(r"^class (\w+)", BROKEN, re.MULTILINE)
RULE = {"suite": "golden", "metric": "exact", "kind": "equivalence", "margin": 0.1, "most": 0.15}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The module as pip leaves it, with its entry points."""
    (tmp_path / "toy_rules.py").write_text(EQUIVALENCE)
    (tmp_path / "broken_rules.py").write_text(BROKEN)
    points = ["equivalence = toy_rules:Equivalence", "nowhere = no_such_module:Rule"]
    points += [f"{name.lower()} = broken_rules:{name}" for name in BROKEN_CLASSES]
    folder = tmp_path / "toy_rules-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-rules\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[ratchet.rules]\n" + "\n".join(points) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    rule_class.cache_clear()
    for name in ("toy_rules", "broken_rules"):
        sys.modules.pop(name, None)


def test_the_extension_is_short() -> None:
    assert len(EQUIVALENCE.strip().splitlines()) <= 30


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("right", "verdict", "of_a_guard"),
    [
        (1000, Verdict.PROMOTE, Verdict.PROMOTE),
        (1050, Verdict.PROMOTE, Verdict.PROMOTE),
        (1400, Verdict.REJECT, Verdict.PROMOTE),
        (600, Verdict.REJECT, Verdict.REJECT),
        (1290, Verdict.INCONCLUSIVE, Verdict.PROMOTE),
    ],
)
def test_a_kind_of_another_package_decides(right: int, verdict: Verdict, of_a_guard: Verdict) -> None:
    base, candidate = report(binary(1000, 2000)), report(binary(right, 2000))
    assert decide(candidate, {"base": base}, policy(RULE)).verdict is verdict
    assert decide(candidate, {"base": base}, policy(GUARD)).verdict is of_a_guard


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("shift", [-0.2, -0.12, -0.08, 0.0, 0.08, 0.12, 0.2])
def test_it_proves_what_two_one_sided_tests_of_statsmodels_prove(shift: float) -> None:
    from statsmodels.stats.weightstats import ttost_paired

    rng = np.random.default_rng(3)
    base = rng.normal(5.0, 1.0, 400)
    mine = base + shift + rng.normal(0.0, 0.5, 400)
    own, other = report({"exact": mine.tolist()}), report({"exact": base.tolist()})
    (reason,) = decide(own, {"base": other}, policy({**RULE, "most": 0.1})).reasons
    assert reason.method == "t"
    larger, *_ = ttost_paired(mine, base, -0.1, 0.1)
    assert (reason.outcome is Outcome.PASS) == (larger < 0.05)


@pytest.mark.usefixtures("installed")
def test_all_that_reads_a_rule_reads_it() -> None:
    base, candidate = report(binary(100)), report(binary(160))
    decision = decide(candidate, {"base": base}, policy(RULE, GUARD))
    reason = next(each for each in decision.reasons if each.kind == "equivalence")
    assert reason.rule == "golden/exact:equivalence:base"
    assert reason.text.endswith("proven not to be equivalent")
    words = sentence(reason, Units(frozenset({("golden", "exact")})))
    assert words.endswith("proven to have changed by more than 10.0 points")
    tested = with_self_test(decision, candidate, {"base": base}).self_test
    assert tested is not None
    assert {each.rule for each in tested.damaged} == {"golden/exact:equivalence:base", "golden/exact:guard:base"}
    few = KnownSet(10)
    assert "no margin of 0.1" in impossible_rules(policy(RULE), {"golden": few})[0].text
    assert plan_power(policy(RULE), {"golden": few}, {}, ("base",))[0].rule == "golden/exact:equivalence:base"


@pytest.mark.usefixtures("installed")
def test_a_suite_that_may_stop_early_waits_for_it() -> None:
    scores = (np.arange(400) % 3 > 0).astype(float)
    base, new = (result_of(make_items({"exact": scores}), name, "golden") for name in ("base", "new"))
    (reason,) = decide(report_of(first(new, 200)), {"base": report_of(base)}, policy(RULE)).reasons
    assert "kind equivalence has no sequential test" in reason.text
    (complete,) = decide(report_of(first(new, 400)), {"base": report_of(base)}, policy(RULE)).reasons
    assert complete.outcome is Outcome.PASS


@pytest.mark.usefixtures("installed")
def test_a_decision_keeps_its_fields_and_is_read_again() -> None:
    own = report(binary(150))
    decision = decide(own, {"base": own}, policy(RULE))
    assert decision.model_dump(mode="json")["policy"]["rules"][0]["most"] == 0.15
    again = Decision.model_validate_json(decision.model_dump_json())
    assert again == decision
    assert again.policy.rules[0].outcome(0.2, 0.3) is Outcome.FAIL


def test_changing_its_source_changes_the_code_that_a_decision_names(installed: Path) -> None:
    own = report(binary(1000, 2000))
    rules = policy(RULE)
    before, plain = gate_code_sha256(rules), gate_code_sha256(policy(GUARD))
    write_record(installed / "d.json.gz", decide(own, {"base": own}, rules, code_sha256=before), own, {"base": own})
    record = read_record(installed / "d.json.gz")
    assert replay(record) == record.decision
    module = installed / "toy_rules.py"
    module.write_text(module.read_text().replace("lower > self.most", "lower >= self.most"))
    assert gate_code_sha256(rules) not in (before, plain)
    assert gate_code_sha256(policy(GUARD)) == plain == gate_code_sha256()
    with pytest.raises(NotReplayedError, match=r"code_sha256 .*install the version of .* kind equivalence"):
        replay(record)


def test_changing_its_source_judges_again(
    installed: Path, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "READERS", ("gate",))  # the others hash models

    def seen() -> dict[str, str]:
        return inputs.look(parse_params(params), ArtifactPaths(installed)).files["gate"]

    assert seen() == {}
    params["gate"]["rules"].append({**RULE, "metric": "json_exact"})
    before = seen()
    (installed / "toy_rules.py").write_text(EQUIVALENCE.replace("lower > self.most", "lower >= self.most"))
    assert list(before) == ["gate.rules of kind equivalence"]
    assert seen() != before


def test_changing_a_file_that_its_settings_name_judges_again(
    installed: Path, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "READERS", ("gate",))
    (installed / "toy_rules.py").write_text(EQUIVALENCE.replace("    most:", "    table: str\n    most:"))
    params["gate"]["rules"] = [{**RULE, "metric": "json_exact", "table": "table.json"}]

    def seen() -> dict[str, str]:
        (installed / "table.json").write_text(f"{len(found)}")
        return inputs.look(parse_params(params), ArtifactPaths(installed)).files["gate"]

    found: list[dict[str, str]] = []
    found.append(seen())
    found.append(seen())
    (key,) = (key for key in found[0] if found[0][key] != found[1][key])
    assert key == "gate.rules.0.table"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (
            "equivalense",
            "no kind of rule 'equivalense'; did you mean 'equivalence'. Known here: guard, target, floor, ceil",
        ),
        ("gard", "gate.rules.0: no kind of rule 'gard'; did you mean 'guard'"),
        ("other", "other = broken_rules:Other.* failed: .*its kind is 'another' by default, expected 'other'"),
        ("nothing", "= broken_rules:Nothing.* it is no subclass of evalsuite.gate.rules.Rule"),
        ("nowhere", "nowhere = no_such_module:Rule.* No module named 'no_such_module'"),
    ],
)
def test_what_is_no_kind_is_one_line_that_names_it(params: dict[str, Any], kind: str, told: str) -> None:
    params["gate"]["rules"] = [{**GUARD, "kind": kind}]
    with pytest.raises(UsageError, match=told) as raised:
        parse_params(params)
    assert "\n" not in str(raised.value)


@pytest.fixture
def params() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
    return found


@pytest.mark.usefixtures("installed")
def test_params_yaml_may_name_the_kind(params: dict[str, Any]) -> None:
    params["gate"]["rules"].append({**RULE, "metric": "json_exact"})
    assert parse_params(params).gate.rules[-1].kind == "equivalence"
    params["gate"]["rules"][-1]["most"] = -1
    with pytest.raises(UsageError, match=r"gate\.rules\.\d+\.most = -1: expected greater than 0"):
        parse_params(params)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("falls", "ZeroDivisionError: division by zero"),
        ("odd", "ValueError: 'perhaps' is not a valid Outcome"),
    ],
)
def test_what_its_code_raises_or_returns_wrong_is_one_line(kind: str, told: str) -> None:
    own = report(binary(150))
    with pytest.raises(UsageError, match=rf"{kind} = broken_rules:{kind.title()}\) failed: {told}") as raised:
        decide(own, {"base": own}, policy({**GUARD, "kind": kind}))
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("installed")
def test_an_outcome_that_is_given_as_text_is_said_as_it_is_counted() -> None:
    own = report(binary(150))
    (reason,) = decide(own, {"base": own}, policy({**GUARD, "kind": "plain"})).reasons
    assert reason.outcome is Outcome.PASS
    assert reason.text.endswith("proven not worse than the margin")


@pytest.mark.usefixtures("installed")
def test_a_cost_is_judged_by_no_kind_whose_outcome_would_not_be_asked() -> None:
    cost = {"suite": "costs", "metric": "num_bytes", "limit": 10}
    with pytest.raises(ValueError, match="the outcome of kind window is never asked; take kind floor or ceiling"):
        policy({**cost, "kind": "window"})
    own = replace(report(binary(150)), costs={"num_bytes": 20.0})
    with pytest.raises(UsageError, match=r"divides = broken_rules:Divides\) failed: ZeroDivisionError"):
        decide(own, {"base": own}, policy({**cost, "kind": "divides"}))
