"""Files that ``lm_eval --log_samples`` wrote, judged by the gate."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.gate.decision import Decision, Verdict
from evalsuite.gate.policy import GatePolicy
from evalsuite.records.evidence import compare_files, load_evidence


def write(path: Path, num: int, value: Callable[[int], dict[str, Any]], **common: Any) -> Path:
    rows = []
    for n in range(num):
        values = value(n)
        row = {"doc_id": n, "filter": "none", "metrics": list(values), "doc_hash": f"d{n}", "target_hash": f"t{n}"}
        rows.append({**row, "prompt_hash": f"p{n}", **common, **values})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def judge(base: Path, candidate: Path, metric: str, margin: float = 0.08, **rule: Any) -> Decision:
    whole = {"suite": "s", "metric": metric, "kind": "guard", "margin": margin, **rule}
    return compare_files(base, candidate, GatePolicy.model_validate({"rules": [whole]}))


def test_a_correlation_that_fell_from_one_to_zero_is_never_promoted(tmp_path: Path) -> None:
    base = write(tmp_path / "a.jsonl", 200, lambda n: {"mcc": [n % 2, n % 2]})
    candidate = write(tmp_path / "b.jsonl", 200, lambda n: {"mcc": [n % 2, 1]})
    decision = judge(base, candidate, "mcc")
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "computes mcc from all items at once" in decision.reasons[0].text


def test_a_log_likelihood_that_the_file_calls_a_perplexity_promotes_nothing(tmp_path: Path) -> None:
    base = write(tmp_path / "a.jsonl", 200, lambda _: {"perplexity": -1.0})
    candidate = write(tmp_path / "b.jsonl", 200, lambda _: {"perplexity": -5.0})
    assert judge(base, candidate, "perplexity", direction="lower").verdict is Verdict.INCONCLUSIVE


def test_minus_one_of_ruler_halves_no_loss(tmp_path: Path) -> None:
    def lengths(right: int) -> Callable[[int], dict[str, Any]]:
        return lambda n: {"4096": float(n < right) if n < 200 else -1.0, "8192": -1.0 if n < 200 else 1.0}

    base, candidate = (write(tmp_path / f"{right}.jsonl", 400, lengths(right)) for right in (182, 160))
    decision = judge(base, candidate, "4096")
    assert decision.verdict is not Verdict.PROMOTE
    assert decision.reasons[0].n == 200
    assert decision.reasons[0].difference == pytest.approx(-0.11)


def test_minus_one_beside_fractions_under_an_unknown_name_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 100, lambda n: {"mine": -1.0 if n % 2 else 1.0})
    decision = judge(path, path, "mine", direction="higher")
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "if -1 says that it does not apply, write null (or nothing) there" in decision.reasons[0].text


def test_checks_of_some_items_and_numbers_of_others_are_no_scores(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 100, lambda n: {"inst_level_loose_acc": [True, False] if n else 1.0})
    assert "a list of checks for some items" in judge(path, path, "inst_level_loose_acc").reasons[0].text


def test_pairs_of_truths_are_no_checks_but_the_right_and_the_given_answer(tmp_path: Path) -> None:
    """F1 of the base is 1; the candidate says true of everything: F1 0.18."""
    base = write(tmp_path / "a.jsonl", 100, lambda n: {"f1": [n < 10, n < 10]})
    candidate = write(tmp_path / "b.jsonl", 100, lambda n: {"f1": [n < 10, True]})
    decision = judge(base, candidate, "f1")
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "f1 of an item is a list" in decision.reasons[0].text


def test_the_direction_of_a_metric_that_lm_eval_does_not_have_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 100, lambda _: {"mine": 1.0, "wer": 0.5})
    with pytest.raises(UsageError, match=r"which way mine is better is not known; write `direction: higher` or"):
        judge(path, path, "mine")
    with pytest.raises(UsageError, match=r"direction is higher, and wer is better lower"):
        judge(path, path, "wer")
    assert judge(path, path, "wer", direction="lower").reasons[0].n == 100


def test_samples_from_before_0_4_8_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    rows = [
        {"doc_id": n, "doc": {"q": n}, "target": "1", "resps": [["1"]], "filtered_resps": ["1"], "exact_match": 1.0}
        for n in range(200)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert judge(path, path, "exact_match").verdict is Verdict.PROMOTE
    path.write_text(path.read_text() * 2)
    with pytest.raises(UsageError, match=r":201: doc_id 0 appears twice; its lines name no filter: lm-eval before"):
        judge(path, path, "exact_match")


@pytest.mark.parametrize("odd", [{"final_answer": "A"}, float("nan"), [0, 1], "text"])
def test_a_metric_that_no_rule_names_blocks_nothing(tmp_path: Path, odd: object) -> None:
    path = write(tmp_path / "a.jsonl", 100, lambda _: {"acc": 1.0, "odd": odd})
    assert judge(path, path, "acc").verdict is Verdict.PROMOTE
    assert list(load_evidence(path, "m", "s", {"acc"}).suites["s"].scores) == ["acc", "acc,none"]


def test_other_prompts_for_the_same_documents_are_told_from_other_documents(tmp_path: Path) -> None:
    base = write(tmp_path / "a.jsonl", 60, lambda _: {"acc": 1.0})
    chat = write(tmp_path / "b.jsonl", 60, lambda _: {"acc": 1.0}, prompt_hash="chat")
    other = write(tmp_path / "c.jsonl", 60, lambda _: {"acc": 1.0}, doc_hash="other")
    told = judge(base, chat, "acc").reasons[0].text
    assert "the documents and targets of the candidate and base are the same, the prompts are not" in told
    assert "another content" in judge(base, other, "acc").reasons[0].text


def test_a_metric_has_one_name_whether_the_file_has_one_filter_or_several(tmp_path: Path) -> None:
    def of(name: str, filters: list[str]) -> Path:
        parts = [
            write(tmp_path / name, 100, lambda _: {"exact_match": 1.0}, filter=each).read_text() for each in filters
        ]
        (tmp_path / name).write_text("".join(parts))
        return tmp_path / name

    one, two = of("one.jsonl", ["strict-match"]), of("two.jsonl", ["strict-match", "flexible-extract"])
    assert judge(one, two, "exact_match,strict-match").verdict is Verdict.PROMOTE
    assert judge(one, one, "exact_match").verdict is Verdict.PROMOTE
    with pytest.raises(UsageError, match=r's has "exact_match,flexible-extract", "exact_match,strict-match"'):
        judge(two, two, "exact_match")
    other = of("other.jsonl", ["flexible-extract"])
    decision = judge(one, other, "exact_match")
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "filter strict-match" in decision.reasons[0].text


VALUES = st.one_of(
    st.tuples(st.integers(0, 1), st.integers(0, 1)).map(list),
    st.lists(st.floats(-9, 9), min_size=2, max_size=2),
    st.text(max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.none(),
    st.just(-1),
    st.just(float("nan")),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=4), st.sampled_from(["acc", "mcc", "f1", "exact_match", "bleu", "mine"]))
def test_values_that_are_no_scores_never_promote(tmp_path: Path, values: list[object], metric: str) -> None:
    path = write(tmp_path / "a.jsonl", 120, lambda n: {metric: values[n % len(values)]})
    assert judge(path, path, metric, direction="higher").verdict is Verdict.INCONCLUSIVE
