"""Scores, also of hostile outputs."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.suites.golden_set.metric_params import Choice, Numeric, Params, Pattern, Values
from evalsuite.suites.golden_set.metrics import TEXT_METRICS, MetricContext, UnscoredError, score_text

CONTEXT = MetricContext({"queue": frozenset({"billing", "safety"}), "action": frozenset({"refund"})})
GIVEN: dict[str, Params] = {
    "contains_all": Values(values=("refund",)),
    "contains_any": Values(values=("refund",)),
    "regex": Pattern(pattern="(.)+x"),
    "choice": Choice(options=("yes", "no")),
}
REFERENCE = '{"queue": "billing", "action": "refund"}'


@pytest.mark.parametrize(
    ("metric", "output", "score"),
    [
        ("json_exact", '{"action": "refund", "queue": "billing"}', 1.0),
        ("json_exact", '{"queue": "billing", "action": "refund"} ', 1.0),
        ("json_exact", '{"queue": "billing", "action": "refund"} thanks', 0.0),
        ("json_exact", '{"queue": "billing", "action": "refund", "x": 1}', 0.0),
        ("json_exact", "not json", 0.0),
        ("json_fields", '{"queue": "billing", "action": "cancel"}', 0.5),
        ("json_fields", '{"queue": "billing"}', 0.5),
        ("json_fields", '["billing"]', 0.0),
        ("json_fields", '{"queue": "billing", "queue": "safety", "action": "refund"}', 0.0),
        ("json_fields", '{"queue": NaN, "action": "refund"}', 0.0),
        ("json_schema", '{"queue": "safety", "action": "refund"}', 1.0),
        ("json_schema", '{"queue": "sales", "action": "refund"}', 0.0),
        ("json_schema", '{"queue": ["billing"], "action": "refund"}', 0.0),
        ("json_schema", '{"queue": "billing"}', 0.0),
        ("json_schema", "[" * 50_000, 0.0),
        ("json_fields", "[" * 5_000, 0.0),
    ],
)
def test_records_are_scored_field_by_field(metric: str, output: str, score: float) -> None:
    assert score_text(metric, output, [REFERENCE], CONTEXT) == score


def test_two_texts_that_are_no_json_do_not_match() -> None:
    assert score_text("json_exact", "no", ["neither"], CONTEXT) == 0.0


def test_true_is_not_one() -> None:
    assert score_text("json_exact", '{"a": true}', ['{"a": 1}'], CONTEXT) == 0.0


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        ("1.0", "1", 1.0),
        ('[1, {"b": 2e0}]', '[1.0, {"b": 2}]', 1.0),
        ("0.1", "0.10", 1.0),
        ("true", "1.0", 0.0),
        ("false", "0", 0.0),
        ("false", "null", 0.0),
        ('"1"', "1", 0.0),
        ("[1]", "[1, 1]", 0.0),
        ("1e999", "2e999", 0.0),
        ('"caf\u00e9"', '"cafe\u0301"', 1.0),
    ],
)
def test_values_are_equal_as_json_has_them(one: str, other: str, score: float) -> None:
    output, reference = f'{{"a": {one}}}', f'{{"a": {other}}}'
    assert score_text("json_exact", output, [reference], CONTEXT) == score
    assert score_text("json_fields", output, [reference], CONTEXT) == score


SCALARS = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_a_record_is_its_own_json(value: object) -> None:
    text = json.dumps({"a": value})
    assert score_text("json_exact", text, [text], CONTEXT) == 1.0


@pytest.mark.parametrize(
    ("output", "reference"), [("C++", "C#"), ("-5", "5"), ("5%", "5"), ("x\u00b2", "x2"), ("C++", "C")]
)
@pytest.mark.parametrize("metric", ["normalized_exact", "contains", "rouge_l", "token_f1"])
def test_a_sign_more_is_another_answer_to_every_metric(metric: str, output: str, reference: str) -> None:
    assert score_text(metric, output, [reference], CONTEXT) == 0.0


@pytest.mark.parametrize(
    ("metric", "output", "reference", "score"),
    [
        ("exact_match", " Paris\n", "Paris", 1.0),
        ("exact_match", "paris", "Paris", 0.0),
        ("normalized_exact", "paris!", "Paris", 1.0),
        ("contains", "It is Paris, France.", "paris", 1.0),
        ("contains", "Parisian", "Paris", 0.0),
        ("numeric", "so it is 1,234.5", "1234.5", 1.0),
        ("numeric", "12", "13", 0.0),
        ("numeric", "none", "13", 0.0),
    ],
)
def test_texts_are_compared_as_the_metric_says(metric: str, output: str, reference: str, score: float) -> None:
    assert score_text(metric, output, [reference], CONTEXT) == score


def test_the_best_reference_counts() -> None:
    assert score_text("exact_match", "b", ["a", "b"], CONTEXT) == 1.0


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=80) | st.sampled_from(['{"queue": 1e999}', '{"queue": 1' + "0" * 5000 + "}", "\ud800"]))
def test_no_output_breaks_a_metric(output: str) -> None:
    for metric in TEXT_METRICS:
        assert 0.0 <= score_text(metric, output, [REFERENCE], CONTEXT, GIVEN.get(metric)) <= 1.0


@pytest.mark.parametrize("metric", sorted(TEXT_METRICS))
@pytest.mark.parametrize("reference", [".", "0", "{}", "[]", " ! "])
def test_a_reference_without_words_fields_or_size_divides_nothing_by_zero(metric: str, reference: str) -> None:
    for output in ("", " ", ".", "0", "{}"):
        try:
            score = score_text(metric, output, [reference], CONTEXT, GIVEN.get(metric))
        except UnscoredError as error:
            assert str(error)  # noqa: PT017  either way is an outcome with a name
        else:
            assert 0.0 <= score <= 1.0


@pytest.mark.parametrize(
    ("metric", "params", "output", "score"),
    [
        ("contains_all", Values(values=("refund", "Monday")), "Your refund: by monday!", 1.0),
        ("contains_all", Values(values=("refund", "Monday")), "Your refund.", 0.0),
        ("contains_any", Values(values=("refund", "Monday")), "Your refund.", 1.0),
        ("contains_any", Values(values=("refund", "Monday")), "Refunds", 0.0),
        ("regex", Pattern(pattern=r"RMA-\d{4}"), "see RMA-1234.", 1.0),
        ("regex", Pattern(pattern=r"RMA-\d{4}", whole=True), "see RMA-1234.", 0.0),
        ("regex", Pattern(pattern=r"rma-\d{4}", whole=True, ignore_case=True), " RMA-1234\n", 1.0),
        ("numeric", Numeric(tolerance=0.5), "about 12.4", 1.0),
        ("numeric", Numeric(tolerance=0.5), "about 12.6", 0.0),
        ("numeric", Numeric(relative_tolerance=0.1), "13.1", 1.0),
        ("numeric", Numeric(relative_tolerance=0.1), "1e999", 0.0),
    ],
)
def test_an_item_s_parameters_decide(metric: str, params: Params, output: str, score: float) -> None:
    assert score_text(metric, output, ["12"], CONTEXT, params) == score


@pytest.mark.parametrize(
    ("output", "score"),
    [
        ("B", 1.0),
        ("(b)", 1.0),
        ("B. Lyon", 1.0),
        ("lyon", 1.0),
        ("Let me think. The answer is (A). No: the answer is (B).", 1.0),
        ("Answer: B", 1.0),
        ("A", 0.0),
        ("B or C, I cannot say", 0.0),
        ("D", 0.0),
        ("the answer is (D)", 0.0),
        ("", 0.0),
    ],
)
def test_a_choice_is_a_letter_an_option_or_a_statement(output: str, score: float) -> None:
    params = Choice(options=("Paris", "Lyon", "Nice"))
    assert score_text("choice", output, ["B"], CONTEXT, params) == score
    assert score_text("choice", output, ["Lyon"], CONTEXT, params) == score


def test_a_hostile_pattern_leaves_the_item_unscored() -> None:
    with pytest.raises(UnscoredError, match="longer than 1 s"):
        score_text("regex", "a" * 40 + "!", ["x"], CONTEXT, Pattern(pattern="((a|aa)+)+(b|c)$"))


def test_an_output_without_end_is_not_aligned_word_by_word() -> None:
    with pytest.raises(UnscoredError, match="at most 20,000"):
        score_text("rouge_l", "a " * 20_000, ["a"], CONTEXT)


SENTENCES = ["The cat sat on the mat.", "A cat was sitting there", "", "mat", "the the the", "Über 3,5 Katzen"]


@pytest.mark.parametrize("output", SENTENCES)
@pytest.mark.parametrize("reference", SENTENCES[:2])
def test_word_f1_is_that_of_squad(output: str, reference: str) -> None:
    from lm_eval.tasks.qasper.metrics import f1_abstractive

    expected = f1_abstractive([output], [reference])
    assert score_text("token_f1", output, [reference], CONTEXT) == pytest.approx(expected)


def test_rouge_l_is_the_longest_common_subsequence_of_lin_2004() -> None:
    # Lin 2004, section 3.1: S2 and S3 against S1 = "police killed the gunman"; R = P = 3/4 and 2/4
    assert score_text("rouge_l", "police kill the gunman", ["police killed the gunman"], CONTEXT) == 0.75
    assert score_text("rouge_l", "the gunman kill police", ["police killed the gunman"], CONTEXT) == 0.5


@pytest.mark.parametrize(
    "output", ["The cat sat on the mats.", "A cat was sitting there", "the the the", "Über 3,5 Katzen"]
)
def test_chrf_is_that_of_nltk(output: str) -> None:
    from nltk.translate.chrf_score import sentence_chrf

    reference = "The cat sat on the mat."
    expected = sentence_chrf(reference, output, max_len=6, beta=2.0)
    assert score_text("chrf", output, [reference], CONTEXT) == pytest.approx(expected, abs=0.02)
