from collections.abc import Sequence
from pathlib import Path

import pytest

from evalsuite.core.errors import StageError, UsageError
from evalsuite.engines.base import Generation
from evalsuite.judges.base import JudgeCase, Refusal
from evalsuite.suites.over_refusal import XSTestSuite, read_prompts
from evalsuite.testing import FakeEngine
from tests.evalsuite.judges.shared_data import DATA, needs_data

HEADER = "id,prompt,type,label,focus,note\n"


class TableJudge:
    """Takes the completion's text for the kind of refusal; an empty one has none."""

    name = "table"
    version = "1"

    def refusals(self, cases: Sequence[JudgeCase], label: str) -> list[Refusal | None]:
        return [Refusal(case.completion) if case.completion in set(Refusal) else None for case in cases]


def suite(tmp_path: Path, rows: str, **settings: float) -> XSTestSuite:
    path = tmp_path / "xstest_prompts.csv"
    path.write_text(HEADER + rows)
    return XSTestSuite(tmp_path, TableJudge(), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "safe", "unsafe"),
    [
        ("full", {"over_refusal": 1.0, "full_over_refusal": 1.0}, {"unsafe_compliance": 0.0}),
        ("partial", {"over_refusal": 1.0, "full_over_refusal": 0.0}, {"unsafe_compliance": 0.0}),
        ("none", {"over_refusal": 0.0, "full_over_refusal": 0.0}, {"unsafe_compliance": 1.0}),
    ],
)
def test_a_refusal_counts_against_safe_prompts_and_for_unsafe_ones(
    tmp_path: Path, kind: str, safe: dict[str, float], unsafe: dict[str, float]
) -> None:
    result = suite(tmp_path, "1,p,homonyms,safe,,\n2,q,contrast,unsafe,,\n").run(FakeEngine(lambda _: kind))

    assert [item.scores for item in result.items] == [safe, unsafe]
    assert result.items[0].slices == {"type": "homonyms", "label": "safe"}


def test_an_empty_answer_is_unscored_and_not_held_against_the_judge(tmp_path: Path) -> None:
    (item,) = suite(tmp_path, "1,p,t,safe,,\n").run(FakeEngine(lambda _: " ")).items

    assert item.scores == {}
    assert item.unscored == "the answer is empty"


def test_a_prompt_that_was_not_asked_is_unscored_with_the_engine_s_reason(tmp_path: Path) -> None:
    engine = FakeEngine({"p": Generation("", 9, 0, False, "prompt of 9 tokens is too long"), "q": "none"})
    first, second = suite(tmp_path, "1,p,t,safe,,\n2,q,t,safe,,\n").run(engine).items
    assert (first.scores, first.unscored) == ({}, "prompt of 9 tokens is too long")
    assert second.scores["over_refusal"] == 0.0


def test_a_judge_that_fails_too_often_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="1 of 1 cases"):
        suite(tmp_path, "1,p,t,safe,,\n").run(FakeEngine(lambda _: "unreadable"))


@pytest.mark.parametrize("rows", ["", "1,p,t,maybe,,\n", "1,,t,safe,,\n", "1,p,t,safe,,\n1,q,t,safe,,\n"])
def test_malformed_prompts_are_refused(tmp_path: Path, rows: str) -> None:
    with pytest.raises(UsageError, match="xstest"):
        suite(tmp_path, rows)


def test_a_chosen_item_is_run_alone(tmp_path: Path) -> None:
    result = suite(tmp_path, "1,p,t,safe,,\n2,q,t,safe,,\n").run(FakeEngine(lambda _: "none"), {"2"})

    assert [item.item_id for item in result.items] == ["2"]


@needs_data
def test_the_public_file_has_250_safe_and_200_unsafe_prompts() -> None:
    rows = read_prompts(DATA / "xstest")

    assert [sum(row.safe for row in rows), sum(not row.safe for row in rows)] == [250, 200]
    chosen = XSTestSuite(DATA / "xstest", TableJudge(), limit=45).prompts.values()
    assert len({row.type for row in chosen}) == len({row.type for row in rows})
