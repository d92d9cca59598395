"""Error rates and items of gate rules on recorded answers."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evalsuite.core.errors import UsageError
from evalsuite.gate_tools.simulate import (
    Setting,
    Simulation,
    _at_margin,
    _fixed,
    as_json,
    orders_needed,
    pairs_within,
    read_answers,
    simulate,
)

RECORDED = Path(__file__).parents[4] / "shared" / "data" / "mmlu_pro" / "recorded_answers.csv"
HEADER = "question_id,category,answer"


def write_answers(path: Path, accuracies: dict[str, float], num_items: int = 3000) -> Path:
    """Models that find the same items hard; accuracies hold exactly."""
    rng = np.random.default_rng(5)
    hardness = rng.random(num_items)
    columns = {}
    for model, accuracy in accuracies.items():
        ranked = np.argsort(hardness + rng.normal(0.0, 0.3, num_items), kind="stable")
        right = np.zeros(num_items, dtype=bool)
        right[ranked[: round(accuracy * num_items)]] = True
        columns[model] = right
    lines = [",".join([HEADER, *accuracies])]
    lines += [
        ",".join([str(i), f"c{i % 6}", "A", *("A" if column[i] else "" for column in columns.values())])
        for i in range(num_items)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    models = {"a": 0.50, "b": 0.53, "c": 0.56, "d": 0.47}
    path = write_answers(tmp_path_factory.mktemp("answers") / "answers.csv", models)
    return simulate(read_answers(path), Setting(0.03, 0.05, 0.06, None, 8))


def test_the_sequential_gate_keeps_both_errors_with_a_fraction_of_the_items(simulation: Simulation) -> None:
    gate, fixed = simulation.rules["ratchet_sequential"], simulation.rules["ratchet_fixed"]
    assert gate.false_promotion is not None
    assert gate.false_promotion <= 0.05
    assert gate.blocked_not_worse is not None
    assert gate.blocked_not_worse <= 0.05
    assert gate.mean_items_clear is not None
    assert fixed.mean_items_clear is not None
    assert gate.mean_items_clear < fixed.mean_items_clear / 2.0


def test_candidates_at_the_margin_are_promoted_at_most_alpha_times(simulation: Simulation) -> None:
    edge = simulation.at_margin
    assert edge.false_promotion is not None
    assert edge.false_promotion > 0.0
    assert edge.false_promotion_upper95 is not None
    assert edge.false_promotion_upper95 <= 0.06  # 1,000 runs of a rate of at most 0.05


def test_rules_of_other_trainers_err_more_at_the_same_number_of_items(simulation: Simulation) -> None:
    rules = simulation.rules
    assert rules["point_above_margin"].mean_items == pytest.approx(rules["ratchet_sequential"].mean_items, abs=1.0)
    # Those between lie at exactly the margin.
    assert (rules["point_above_margin"].promoted_middle or 0.0) > 0.25
    assert (rules["ratchet_sequential"].promoted_middle or 0.0) < 0.15
    assert (rules["significantly_better"].blocked_not_worse or 0.0) > 0.2


def test_items_can_be_capped_and_what_is_undecided_then_is_not_promoted(tmp_path: Path) -> None:
    path = write_answers(tmp_path / "answers.csv", {"a": 0.5, "b": 0.5}, 400)
    capped = simulate(read_answers(path), Setting(0.01, 0.05, 0.06, 30, 2))
    assert capped.rules["ratchet_sequential"].mean_items <= 30.0
    assert capped.rules["ratchet_sequential"].blocked_not_worse == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the header is empty"),
        (f"{HEADER},m\n1,a,A,A\n", "at least two models"),
        (f"{HEADER},m,m\n1,a,A,A,A\n", "each once"),
        (f"{HEADER},m,n\n1,a,A,A\n", r":2: 4 cells"),
        (f"{HEADER},m,n\n" + "1,a,A,A,A\n" * 20, "'1' appears twice"),
        (f"{HEADER},m,n\n1,a,A,A,A\n", "1 items"),
        (f"{HEADER},m,n\n" + "".join(f"{i},a,,A,A\n" for i in range(20)), "has no right answer"),
    ],
)
def test_a_file_that_is_not_a_table_of_answers_is_named_with_its_fault(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_answers(path)


def test_models_that_are_too_far_apart_are_no_pairs(tmp_path: Path) -> None:
    answers = read_answers(write_answers(tmp_path / "answers.csv", {"a": 0.2, "b": 0.8}, 100))
    with pytest.raises(UsageError, match=r"nearest two are 0\.6000 apart; widen --pairs"):
        simulate(answers, Setting(0.02, 0.05, 0.06, None, 1))


@pytest.mark.skipif(not RECORDED.is_file(), reason="needs shared/data/mmlu_pro/recorded_answers.csv")
def test_accuracies_of_the_recorded_models_are_the_published_ones() -> None:
    """MMLU-Pro's leaderboard counts the share of all 12,032 questions."""
    answers = read_answers(RECORDED)
    accuracy = dict(zip(answers.models, answers.scores.mean(axis=1), strict=True))
    assert accuracy["Mixtral-8x7B-Instruct-v0.1"] == pytest.approx(0.433, abs=0.02)
    assert accuracy["Qwen1.5-110B"] == pytest.approx(0.499, abs=0.02)
    assert len(pairs_within(answers, 0.06)) == 48


def test_few_pairs_get_so_many_orders_that_no_error_at_all_bounds_the_rate_below_five_percent(tmp_path: Path) -> None:
    answers = read_answers(write_answers(tmp_path / "answers.csv", {"a": 0.50, "b": 0.55}))
    orders = orders_needed(answers, pairs_within(answers, 0.06), 0.02)  # one worse pair, one that is not worse
    assert 1.0 - 0.05 ** (1.0 / orders) < 0.05


def test_many_pairs_get_ten_orders_each(tmp_path: Path) -> None:
    models = {f"m{n}": 0.50 + 0.01 * n for n in range(10)}
    answers = read_answers(write_answers(tmp_path / "answers.csv", models))
    assert orders_needed(answers, pairs_within(answers, 0.06), 0.02) == 10


def test_very_many_pairs_get_fewer_orders_as_long_as_they_make_two_thousand_trials(tmp_path: Path) -> None:
    models = {f"m{n}": 0.50 + 0.001 * n for n in range(30)}
    answers = read_answers(write_answers(tmp_path / "answers.csv", models))
    pairs = pairs_within(answers, 0.06)
    assert len(pairs) == 30 * 29
    assert orders_needed(answers, pairs, 0.005) * len(pairs) >= 2000
    assert orders_needed(answers, pairs, 0.005) < 10


def with_columns(path: Path, columns: dict[str, NDArray[np.bool_]]) -> Path:
    rows = zip(*columns.values(), strict=True)
    lines = [
        ",".join([HEADER, *columns]),
        *(",".join([str(i), "", "A", *np.where(r, "A", "B")]) for i, r in enumerate(rows)),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_models_that_answer_alike_are_promoted_by_both_designs(tmp_path: Path, share: float) -> None:
    """Whoever loses no item leaves a test that doubles or quits no stake to lose; nor is n = 2 a design."""
    right = np.arange(400) < 400 * share
    found = simulate(
        read_answers(with_columns(tmp_path / "a.csv", {"a": right, "b": right})), Setting(0.02, 0.05, 0.0, None, 20)
    )
    for name in ("ratchet_sequential", "ratchet_fixed"):
        assert found.rules[name].blocked_not_worse == 0.0
    assert found.rules["ratchet_fixed"].mean_items == 149  # 0.98 ** 149 < 0.05 < 0.98 ** 148
    assert found.bound_ratio <= 1.0
    # Wald's bound where every item gains the margin on the stake: log(20) / -log(0.98) items, 0.95 times.
    assert found.bound_ratio * (found.without_record.mean_items_clear or 0.0) == pytest.approx(140.9, rel=0.01)


def test_a_baseline_that_has_just_the_margin_to_lose_has_a_candidate_there(tmp_path: Path) -> None:
    four = np.arange(200) < 4
    found = simulate(
        read_answers(with_columns(tmp_path / "a.csv", {"a": four, "b": four})), Setting(0.02, 0.05, 0.0, None, 1)
    )
    assert found.at_margin is not None


def test_no_candidate_lies_at_the_margin_of_a_baseline_that_has_less_to_lose(tmp_path: Path) -> None:
    wrong = np.zeros(200, dtype=bool)
    found = simulate(
        read_answers(with_columns(tmp_path / "a.csv", {"a": wrong, "b": wrong})), Setting(0.02, 0.05, 0.0, None, 1)
    )
    assert found.at_margin is None
    assert as_json(found)["at_margin"] is None


@pytest.mark.parametrize(("margin", "lost"), [(0.05, 10), (0.29, 58), (0.0501, 11), (0.0549, 11)])
def test_candidates_at_the_margin_miss_it_by_as_little_as_items_allow(tmp_path: Path, margin: float, lost: int) -> None:
    """A loss of 10 of 200 is no larger than a margin of 0.05; one of 0.0501 is missed from 11 on."""
    answers = read_answers(write_answers(tmp_path / "answers.csv", {"a": 0.4, "b": 0.45, "c": 0.5}, 200))
    setting, pairs = Setting(margin, 0.05, 0.2, None, 1), pairs_within(answers, 0.2)
    trials = list(_at_margin(answers, pairs, np.zeros(200, dtype=np.intp), setting, 2 * len(pairs)))
    assert {round(-200 * trial.difference, 6) for trial in trials} == {lost}


@pytest.mark.parametrize("moved", [0, 12, 40])
def test_the_fixed_design_keeps_its_error_where_few_items_differ(moved: int) -> None:
    """The normal distribution asks for half of the items and blocks one of five candidates that did not change."""
    first = (np.arange(4000) < 2000).astype(np.float64)
    second = first.copy()
    changed = [*range(moved), *range(4000 - moved, 4000)]
    second[changed] = 1.0 - second[changed]
    rng, setting = np.random.default_rng(0), Setting(0.02, 0.05, 0.0, None, 1)
    trials = [next(_fixed(first, second, rng, setting, 10))[1] for _ in range(300)]
    assert np.mean([not trial.promoted for trial in trials]) <= 0.076  # 5% and two standard errors
    assert trials[0].num_items < 2 * 149 + 60 * moved


def test_letters_in_another_case_and_numbers_in_another_form_are_read_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers.csv"
    rows = [f"q{n},c,{'A' if n % 2 else '1'},{'a' if n % 2 else '1.0'},{'A' if n % 2 else '2'}\n" for n in range(40)]
    path.write_text("question_id,category,answer,left,right\n" + "".join(rows))
    assert read_answers(path).scores.mean(axis=1).tolist() == [1.0, 0.5]
    assert "40 answers of left are written differently from the right ones, such as '1.0' for '1'" in caplog.text


def test_where_case_tells_right_answers_apart_it_counts_and_a_model_with_none_right_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers.csv"
    rows = [f"q{n},c,{'Aa'[n % 2]},{'aA'[n % 2]},A\n" for n in range(40)]
    path.write_text("question_id,category,answer,left,right\n" + "".join(rows))
    assert read_answers(path).scores.mean(axis=1).tolist() == [0.0, 0.5]
    assert "left has no right answer among 40" in caplog.text
