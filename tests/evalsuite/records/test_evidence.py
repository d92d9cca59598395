import json
import math
import shutil
from pathlib import Path

import pytest

from evalsuite.core.errors import RatchetError, UsageError
from evalsuite.gate.decision import Verdict
from evalsuite.gate.policy import GatePolicy
from evalsuite.items.results import read_report
from evalsuite.records.evidence import compare_files, load_evidence, load_policy, read_costs
from evalsuite.testing import make_item, make_result

LM_EVAL = Path(__file__).parents[4] / "shared" / "data" / "lmeval_samples"
GUARD = {"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1}
POLICY = GatePolicy.model_validate({"rules": [GUARD]})


def _csv(path: Path, right: int, n: int = 200) -> Path:
    rows = [f"item-{i},{int(i < right)}\n" for i in range(n)]
    path.write_text("item_id,exact\n" + "".join(rows), encoding="utf-8")
    return path


def _result(folder: Path, suite: str, right: int, identity: str = "abc") -> Path:
    items = [make_item(f"i{i}", {"exact": float(i < right)}) for i in range(100)]
    make_result(items, suite, model_identity=identity).write(folder)
    return folder


def test_csv_scores_labels_and_gaps_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("item_id,exact,f1,cluster,slice_queue\na,true,0.5,p1,billing\nb,0,,p1,\n", encoding="utf-8")
    table = load_evidence(path, "mine").suites["mine"]
    assert table.item_ids == ("a", "b")
    assert table.clusters == ("p1", "p1")
    assert table.slices == {"queue": ("billing", "")}
    assert table.scores["exact"].tolist() == [1.0, 0.0]
    assert table.scores["f1"][0] == 0.5
    assert math.isnan(table.scores["f1"][1])


def test_jsonl_and_csv_of_the_same_scores_compare_as_equal(tmp_path: Path) -> None:
    rows = [json.dumps({"item_id": f"item-{i}", "exact": i < 100}) + "\n" for i in range(200)]
    jsonl = tmp_path / "a.jsonl"
    jsonl.write_text("".join(rows), encoding="utf-8")
    decision = compare_files(_csv(tmp_path / "b.csv", 100), jsonl, POLICY)
    assert decision.verdict is Verdict.PROMOTE
    assert decision.evidence["candidate/golden"] == decision.evidence["base/golden"]


def test_a_worse_file_is_rejected_against_base_and_champion(tmp_path: Path) -> None:
    policy = GatePolicy.model_validate({"rules": [GUARD, {**GUARD, "against": "champion"}]})
    decision = compare_files(_csv(tmp_path / "b.csv", 150), _csv(tmp_path / "a.csv", 50), policy)
    assert decision.verdict is Verdict.REJECT
    assert {reason.against for reason in decision.reasons} == {"base", "champion"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param(
            "a.csv", "item_id,exact\na,yes\n", r"a\.csv:2: exact is 'yes', expected a finite number", id="text"
        ),
        pytest.param("a.csv", "item_id,exact\na,1\nb,nan\n", r"a\.csv:3: exact is 'nan'", id="nan"),
        pytest.param("a.csv", "item_id,exact\na,1e999\n", r"a\.csv:2: exact is '1e999'", id="overflow"),
        pytest.param("a.csv", "item_id,exact\na,1_0\n", r"a\.csv:2: exact is '1_0'", id="underscore"),
        pytest.param("a.csv", "item_id,exact\na,\uff11\n", r"a\.csv:2: exact is '\uff11'", id="full-width-digit"),
        pytest.param("a.csv", "item_id,exact\na,1e155\n", r"a\.csv:2: exact is .*a size from 1e-12", id="too-large"),
        pytest.param("a.csv", "item_id,exact\na,1e-200\n", r"a\.csv:2: exact is .*a size from 1e-12", id="too-small"),
        pytest.param("a.jsonl", '{"item_id": "a", "x": ' + "9" * 5000 + "}\n", r"a\.jsonl:1: not JSON", id="digits"),
        pytest.param("a.csv", "item_id,exact\na,1\na,0\n", r"a\.csv:3: item_id 'a' appears twice", id="duplicate"),
        pytest.param("a.csv", "item_id,exact\na\n", r"a\.csv:2: 1 cells, the header has 2", id="short-row"),
        pytest.param(
            "a.csv", "name,exact\na,1\n", r"a\.csv has no column item_id.*columns: 'name', 'exact'", id="no-id"
        ),
        pytest.param("a.csv", "item_id,x,x\na,1,1\n", r"a\.csv:1: column 'x' appears twice", id="column-twice"),
        pytest.param("a.csv", 'item_id,x\n"a,1\n', r"a\.csv:\d: not CSV", id="quote"),
        pytest.param("a.csv", "item_id,exact\n", "holds no items", id="header-only"),
        pytest.param("a.csv", "", "holds no items", id="empty"),
        pytest.param("a.csv", "item_id\na\n", "has no metric", id="no-metric"),
        pytest.param("a.jsonl", "", "holds no items", id="empty-jsonl"),
        pytest.param("a.jsonl", '{"item_id": "a", "x": NaN}\n', r"a\.jsonl:1: x is nan", id="json-nan"),
        pytest.param("a.jsonl", '{"item_id": "a", "x": [1]}\n', r"a\.jsonl:1: x is \[1\]", id="json-list"),
        pytest.param("a.jsonl", '{"x": 1}\n', r"a\.jsonl has no column item_id", id="json-no-id"),
        pytest.param("a.jsonl", '\n{"item_id"\n', r"a\.jsonl:2: not JSON", id="not-json"),
        pytest.param("a.jsonl", "[1]\n", r"a\.jsonl: row 1: int, expected an object", id="json-array"),
        pytest.param("a.xlsx", "x", r"'\.xlsx', expected a folder", id="extension"),
    ],
)
def test_unusable_files_are_refused_with_file_and_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        load_evidence(tmp_path / name, "x")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"item_id,x\n\xff\xfe,1\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_evidence(tmp_path / "a.csv", "x")


def test_absent_evidence_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no evidence at .*nowhere\.csv"):
        load_evidence(tmp_path / "nowhere.csv", "x")


def test_a_file_for_a_policy_of_two_suites_needs_to_say_which(tmp_path: Path) -> None:
    policy = GatePolicy.model_validate({"rules": [GUARD, {**GUARD, "suite": "ifeval"}]})
    left, right = _csv(tmp_path / "a.csv", 100), _csv(tmp_path / "b.csv", 100)
    with pytest.raises(UsageError, match=r"policy names 2 \(golden, ifeval\); name the suite with --suite"):
        compare_files(left, right, policy)
    assert compare_files(left, right, policy, suite="golden").verdict is Verdict.INCONCLUSIVE


def test_a_suite_that_no_rule_names_is_a_mistake(tmp_path: Path) -> None:
    left, right = _csv(tmp_path / "a.csv", 100), _csv(tmp_path / "b.csv", 100)
    with pytest.raises(UsageError, match=r"--suite 'goldne' appears in no rule of the policy, which judges golden"):
        compare_files(left, right, POLICY, suite="goldne")
    ifeval = _result(tmp_path / "ifeval", "ifeval", 50)
    with pytest.raises(UsageError, match=r"hold suites ifeval, and no rule .* judges golden; correct `suite`"):
        compare_files(ifeval, ifeval, POLICY)


def test_a_policy_on_costs_and_one_suite_needs_no_name_of_it(tmp_path: Path) -> None:
    left, right = _csv(tmp_path / "a.csv", 100), _csv(tmp_path / "b.csv", 100)
    limit = {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 1}
    policy = GatePolicy.model_validate({"rules": [GUARD, limit]})
    assert compare_files(left, right, policy).verdict is Verdict.INCONCLUSIVE


def test_files_of_items_alone_leave_a_policy_on_costs_undecided(tmp_path: Path) -> None:
    left, right = _csv(tmp_path / "a.csv", 100), _csv(tmp_path / "b.csv", 100)
    limit = {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 1}
    assert compare_files(left, right, GatePolicy.model_validate({"rules": [limit]})).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("size", "verdict"), [(12, Verdict.PROMOTE), (13, Verdict.REJECT)])
def test_a_cost_relative_to_a_champion_is_compared_with_the_one_baseline(
    tmp_path: Path, size: int, verdict: Verdict
) -> None:
    limit = {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 1.2, "relative_to": "champion"}
    for name, num_bytes in (("old", 10), ("new", size)):
        _result(tmp_path / name / "golden", "golden", 50)
        (tmp_path / name / "costs.json").write_text(f'{{"num_bytes": {num_bytes}}}', encoding="utf-8")
    policy = GatePolicy.model_validate({"rules": [{**GUARD, "against": "base", "margin": 0.2}, limit]})
    assert compare_files(tmp_path / "old", tmp_path / "new", policy).verdict is verdict


def test_a_suite_that_two_folders_hold_is_refused(tmp_path: Path) -> None:
    """A copy that was kept came last by name, and was judged in place of the results."""
    base = _result(tmp_path / "base" / "golden", "golden", 90)
    _result(tmp_path / "new" / "golden", "golden", 10)
    shutil.copytree(base, tmp_path / "new" / "golden_old")
    told = r"new/golden_old holds suite 'golden', as another folder does; move one elsewhere"
    with pytest.raises(UsageError, match=told):
        compare_files(tmp_path / "base", tmp_path / "new", POLICY)
    with pytest.raises(UsageError, match=told):
        read_report("new", tmp_path / "new", "abc", {}, "ratchet run")


@pytest.mark.parametrize("size", ["1" + "0" * 400, "-1" + "0" * 400, "1e999", "NaN"])
def test_a_cost_that_no_number_holds_is_named(tmp_path: Path, size: str) -> None:
    (tmp_path / "costs.json").write_text(f'{{"num_bytes": {size}}}', encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"costs\.json: num_bytes is .{1,50}, expected a size of at most 1\.79769e\+308"
    ):
        read_costs(tmp_path)


def test_a_metric_that_neither_side_has_is_a_mistake_in_the_policy(tmp_path: Path) -> None:
    left, right = _csv(tmp_path / "a.csv", 100), _csv(tmp_path / "b.csv", 100)
    policy = GatePolicy.model_validate({"rules": [{**GUARD, "metric": "exat"}]})
    with pytest.raises(UsageError, match=r"rule golden/exat: neither side has metric 'exat'; golden has exact"):
        compare_files(left, right, policy)


def test_a_metric_that_one_side_lacks_is_undecided(tmp_path: Path) -> None:
    right = tmp_path / "b.csv"
    right.write_text("item_id,f1\n" + "".join(f"item-{i},1\n" for i in range(200)), encoding="utf-8")
    assert compare_files(_csv(tmp_path / "a.csv", 100), right, POLICY).verdict is Verdict.INCONCLUSIVE


def test_own_results_are_read_from_a_suite_its_file_and_a_model_folder(tmp_path: Path) -> None:
    golden = _result(tmp_path / "golden", "golden", 90)
    _result(tmp_path / "ifeval", "ifeval", 50)
    (tmp_path / "costs.json").write_text('{"eval_seconds": 12, "unit": "s"}', encoding="utf-8")
    whole = load_evidence(tmp_path, "m")
    assert sorted(whole.suites) == ["golden", "ifeval"]
    assert (whole.identity, dict(whole.costs)) == ("abc", {"eval_seconds": 12.0})
    for path in (golden, golden / "items.parquet"):
        assert list(load_evidence(path, "m").suites) == ["golden"]
    assert compare_files(tmp_path, golden, POLICY).verdict is Verdict.PROMOTE


def test_a_folder_of_two_models_and_one_without_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no finished results"):
        load_evidence(tmp_path, "m")
    _result(tmp_path / "golden", "golden", 90, "one")
    _result(tmp_path / "ifeval", "ifeval", 50, "two")
    with pytest.raises(UsageError, match="different models: one, two"):
        load_evidence(tmp_path, "m")


@pytest.mark.skipif(not LM_EVAL.is_dir(), reason="shared/data/lmeval_samples is not here")
def test_a_real_lm_eval_samples_file_is_read_and_compared() -> None:
    path = next(LM_EVAL.glob("*.jsonl"))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    table = load_evidence(path, "base").suites[path.stem]
    assert table.item_ids == tuple(str(line["doc_id"]) for line in lines)
    assert table.scores["exact_match"].tolist() == [line["exact_match"] for line in lines]
    policy = GatePolicy.model_validate(
        {"rules": [{"suite": "math", "metric": "exact_match", "kind": "guard", "margin": 0.3}]}
    )
    assert compare_files(path, path, policy).verdict is Verdict.PROMOTE


def _sample(doc: int, filter_name: str, value: object, doc_hash: str = "d") -> str:
    row = {"doc_id": doc, "filter": filter_name, "metrics": ["acc"], "acc": value, "doc_hash": doc_hash}
    return json.dumps(row) + "\n"


METRIC = "inst_level_strict_acc"


def test_lm_eval_filters_and_check_lists_become_metrics(tmp_path: Path) -> None:
    path = tmp_path / "samples_x.jsonl"
    path.write_text(
        (_sample(0, "strict", [True, False]) + _sample(0, "loose", [True])).replace("acc", METRIC), encoding="utf-8"
    )
    table = load_evidence(path, "m").suites["samples_x"]
    assert {name: column.tolist() for name, column in table.scores.items()} == {
        f"{METRIC},strict": [1.0],
        f"{METRIC},loose": [1.0],
    }
    assert {name: column.tolist() for name, column in table.denominators.items()} == {
        f"{METRIC},strict": [2.0],
        f"{METRIC},loose": [1.0],
    }


def test_lm_eval_values_that_are_no_item_score_are_unscored(tmp_path: Path) -> None:
    path = tmp_path / "samples_x.jsonl"
    path.write_text(_sample(0, "none", [-3.5, 12]), encoding="utf-8")
    assert math.isnan(load_evidence(path, "m").suites["samples_x"].scores["acc"][0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_sample(0, "none", 1) * 2, r":2: doc_id 0 appears twice"),
        (_sample(0, "a", 1) + _sample(0, "b", 1, "other"), r":2: doc_id 0 stands for two documents"),
        (_sample(0, "none", 1) + '{"item_id": "a", "x": 1}\n', "mixes lm-eval samples"),
    ],
)
def test_broken_lm_eval_samples_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "samples_x.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        load_evidence(path, "m")


def test_a_policy_is_read_alone_or_from_the_gate_section(tmp_path: Path) -> None:
    rule = "{suite: golden, metric: exact, kind: guard, margin: 0.1}"
    (tmp_path / "policy.yaml").write_text(f"rules: [{rule}]\n", encoding="utf-8")
    (tmp_path / "params.yaml").write_text(f"model: x\ngate:\n  rules: [{rule}]\n", encoding="utf-8")
    assert load_policy(tmp_path / "policy.yaml") == load_policy(tmp_path / "params.yaml") == POLICY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "rules: [{suite: a, metric: b, kind: guard, margin: -1}]",
            r"policy\.yaml: rules\.0\.margin = -1: expected greater than 0$",
        ),
        (
            "gate: {rules: [{suite: a, metric: b, kind: gard}]}",
            r"gate\.rules\.0: no kind of rule 'gard'; did you mean 'guard'\? Known here: guard, target, floor, ceiling",
        ),
        ("rules: [{suite: a, metric: b, kind: guard, margin: true}]", "margin = True: expected a number, not true"),
        (
            "rules: [{suite: a, metric: b, kind: guard, margin: 0.1, slices: k, slice_margins: {x: true}}]",
            "slice_margins: expected numbers, not true",
        ),
        ("alfa: 1", r"rules is required; unknown key alfa; did you mean 'alpha'\? Known here: alpha, .*, targets$"),
        ("rules: [{suite: a, metric: b, kind: floor}]", "takes limit"),
        ("[1]", "expected the key `rules` with a list of rules"),
        ("a: [", "not YAML"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_dotted_path(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "policy.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        load_policy(tmp_path / "policy.yaml")


def test_an_absent_policy_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RatchetError, match="no policy at"):
        load_policy(tmp_path / "policy.yaml")


def test_a_denominator_column_makes_its_metric_a_ratio_of_sums(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("item_id,right,denominator_right\n1,1,2\n2,0,0\n3,,\n", encoding="utf-8")
    table = load_evidence(path, "m").suites["x"]
    assert table.scores["right"][:2].tolist() == [1.0, 0.0]
    assert table.denominators["right"][:2].tolist() == [2.0, 0.0]
    assert math.isnan(table.denominators["right"][2])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("item_id,right,denominator_right\n1,1,-2\n", "x.csv:2: denominator_right is '-2', expected 0 or more"),
        ("item_id,right,denominator_wrong\n1,1,2\n", "column denominator_wrong has no column wrong"),
    ],
)
def test_denominators_that_fit_no_metric_are_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        load_evidence(path, "m")


def test_items_that_a_candidate_sheds_from_a_ratio_are_counted_in_a_warning(tmp_path: Path) -> None:
    rows = {"a": [(int(i % 5 > 0), 1) for i in range(400)], "b": [(i % 2, i % 2) for i in range(400)]}
    for name, cells in rows.items():
        lines = [f"{i},{right},{weight}" for i, (right, weight) in enumerate(cells)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["item_id,exact,denominator_exact", *lines]) + "\n")
    decision = compare_files(tmp_path / "a.csv", tmp_path / "b.csv", POLICY)
    assert "200 of 400 items that count for base have the denominator 0" in decision.warnings[0]
    assert not compare_files(tmp_path / "a.csv", tmp_path / "a.csv", POLICY).warnings
