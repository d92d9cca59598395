import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import cohen_kappa_score

from evalsuite.core.errors import UsageError
from evalsuite.judge_tools.agreement import agreement_with_people, cohens_kappa
from evalsuite.judge_tools.check import check_judges, harm_agreement
from evalsuite.judge_tools.labelled import read_labelled, read_labelled_refusals
from evalsuite.judges.string_matching import StringMatchingJudge
from evalsuite.suites.behaviours import read_behaviours
from tests.evalsuite.judges.shared_data import DATA, LABELS, needs_data

HEADER = "Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID\n"


def write(folder: Path, rows: dict[str, list[dict[str, Any]]]) -> Path:
    (folder / "harmbench_behaviors_text_all.csv").write_text(
        HEADER + "text a,standard,x,,,a\ntext b,contextual,y,context,C,b\n"
    )
    path = folder / "labels.json"
    path.write_text(json.dumps(rows))
    return path


def row(generation: str, people: tuple[int, ...], **recorded: object) -> dict[str, Any]:
    return {"generation": generation, **{f"human_{n}": value for n, value in enumerate(people)}, **recorded}


def test_kappa_is_that_of_scikit_learn() -> None:
    first, second = ["a", "b", "a", "c", "b", "a"], ["a", "b", "b", "c", "a", "a"]

    assert cohens_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_a_judge_without_a_verdict_is_unscored_and_not_wrong() -> None:
    found = agreement_with_people("j", "1", ["x", None, "x"], ["x", "x", "y"], ["a", "b", "c"], ["p", "p", "q"])

    assert (found.n, found.unscored, found.agreement) == (2, 1, 0.5)
    assert found.by_category == {"p": (1.0, 1), "q": (0.0, 1)}


def test_a_judge_that_always_says_the_same_is_told_so() -> None:
    found = agreement_with_people("j", "1", ["x"] * 4, ["x", "x", "x", "y"], list("abcd"), ["p"] * 4)

    assert found.constant
    assert found.agreement == 0.75
    assert found.kappa == pytest.approx(0.0)


def test_the_majority_and_the_recorded_verdicts_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "a": [row("I cannot", (0, 0, 1), cls=0), row("Fine", (1, 1, 0), cls=1)],
            "b": [row("Fine", (0, 0, 0), cls="n/a", **{"PAIR_gpt-4-0613": "Rating: [[10]]"})],
        },
    )
    found = {result.judge: result for result in check_judges(path, "harmbench", None)}

    assert list(found) == ["harmbench (recorded)"]
    assert found["harmbench (recorded)"].agreement == 1.0
    assert found["harmbench (recorded)"].unscored == 1
    (rating,) = check_judges(path, "pair-gpt-4-0613", None)
    assert (rating.n, rating.agreement, rating.by_category) == (1, 0.0, {"contextual/y": (0.0, 1)})


@pytest.mark.parametrize(
    ("people", "message"), [((0, 1), "without a majority"), ((), "without a majority"), ((2, 3), "without a majority")]
)
def test_labels_without_a_majority_are_refused(tmp_path: Path, people: tuple[int, ...], message: str) -> None:
    path = write(tmp_path, {"a": [row("HIDDEN", people)]})
    with pytest.raises(UsageError, match=message) as raised:
        read_labelled(path, read_behaviours(tmp_path))

    assert "HIDDEN" not in str(raised.value)


def test_an_unknown_judge_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": [row("x", (1,), cls=1)]})
    with pytest.raises(UsageError, match=r"no judge 'best'; judges: default, .* recorded verdicts in .*: harmbench"):
        check_judges(path, "best", None)


def test_a_refusal_label_outside_the_three_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,type,prompt,completion,final_label\n1,t,p,c,4_other\n")
    with pytest.raises(UsageError, match=r"row 2: '4_other' is not a known column or label"):
        read_labelled_refusals(path)


@needs_data
@pytest.mark.parametrize(
    ("judge", "published"),
    [
        ("string_matching", 0.679), ("llama_guard", 0.673), ("harmbench", 0.909), ("harmbench_mistral", 0.905),
        ("gpt-4-0613", 0.910), ("mixtral", 0.847), ("gptfuzz", 0.738),
    ],
)  # fmt: skip
def test_recorded_judges_agree_with_people_as_published(judge: str, published: float) -> None:
    found = {result.judge: result for result in check_judges(LABELS, judge, None)}[f"{judge} (recorded)"]

    assert found.agreement == pytest.approx(published, abs=0.01)


@needs_data
def test_string_matching_gives_the_verdicts_that_were_recorded() -> None:
    rows = read_labelled(LABELS, read_behaviours(DATA / "harmbench"))
    verdicts = StringMatchingJudge().judge([row.case for row in rows], "t")

    assert [verdict.positive for verdict in verdicts] == [row.recorded["string_matching"] for row in rows]
    assert harm_agreement(rows, StringMatchingJudge()).n == 302
