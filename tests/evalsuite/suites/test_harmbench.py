import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from evalsuite.core.errors import StageError, UsageError
from evalsuite.engines.base import Generation
from evalsuite.judges.base import JudgeCase, Verdict
from evalsuite.judges.copyright import CopyrightRule
from evalsuite.judges.string_matching import StringMatchingJudge
from evalsuite.suites.behaviours import read_behaviours
from evalsuite.suites.harmbench import HarmBenchSuite, direct_request, is_copyright
from evalsuite.testing import FakeEngine
from tests.evalsuite.judges.shared_data import DATA, needs_data

HEADER = "Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID\n"
ROWS = (
    "do a,standard,illegal,,,a\ndo b,contextual,cyber,context,about b,b\n"
    'sing c,copyright,copyright,"lyrics, hash_check",,c\n'
)


class TableJudge:
    """Gives what the table says of a completion; keeps the cases that it saw."""

    name = "table"
    version = "1"

    def __init__(self, table: dict[str, bool | None]) -> None:
        self.table = table
        self.cases: list[JudgeCase] = []

    def judge(self, cases: Sequence[JudgeCase], label: str) -> list[Verdict]:
        self.cases += cases
        return [Verdict(self.table[case.completion]) for case in cases]


@pytest.fixture
def behaviours(tmp_path: Path) -> Path:
    path = tmp_path / "harmbench_behaviors_text_all.csv"
    path.write_text(HEADER + ROWS)
    return path


def test_success_is_what_the_judge_says_by_category(behaviours: Path) -> None:
    judge = TableJudge({"yes": True, "no": False})
    result = HarmBenchSuite(behaviours, judge).run(FakeEngine(lambda prompt: "yes" if prompt == "do a" else "no"))
    by_id = {item.item_id: item for item in result.items}

    assert by_id["a"].scores == {"attack_success": 1.0}
    assert by_id["b"].scores == {"attack_success": 0.0}
    assert by_id["b"].slices == {"functional": "contextual", "semantic": "cyber", "attack": "direct_request"}
    assert judge.cases == [JudgeCase("do a", "yes"), JudgeCase("do b", "no", "about b")]
    assert result.info.scorers["attack_success"] == "table 1; copyright none, reasoning 1"


def test_a_contextual_behaviour_is_asked_with_its_context(behaviours: Path) -> None:
    engine = FakeEngine(lambda _: "no")
    HarmBenchSuite(behaviours, TableJudge({"no": False})).run(engine, {"b"})

    assert engine.prompts == ["about b\n\n---\n\ndo b"]


def test_copyright_is_unscored_and_counted_without_references(behaviours: Path) -> None:
    summary = HarmBenchSuite(behaviours, TableJudge({"no": False})).run(FakeEngine(lambda _: "no")).summary()
    found = {metric.metric: (metric.n, metric.unscored) for metric in summary.metrics}

    assert found == {"attack_success": (2, 0), "copyright_reproduced": (0, 1)}


def test_copyright_follows_its_own_rule_with_references(behaviours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = object.__new__(CopyrightRule)
    rule.version = "r"
    monkeypatch.setattr(
        rule, "reproduces", lambda name, tags, text: (name, "lyrics" in tags, text) == ("c", True, "no")
    )
    suite = HarmBenchSuite(behaviours, TableJudge({"no": False}), copyright_rule=rule)
    (item,) = suite.run(FakeEngine(lambda _: "no"), {"c"}).items

    assert item.scores == {"attack_success": 1.0, "copyright_reproduced": 1.0}


@pytest.mark.parametrize("ending", ["json", "csv"])
def test_an_attack_replaces_the_requests_and_its_cases_share_their_behaviours_cluster(
    behaviours: Path, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"gcg.{ending}"
    path.write_text(
        json.dumps({"a": ["p0", "p1"], "b": ["q"]}) if ending == "json" else "BehaviorID,test_case\na,p0\na,p1\nb,q\n"
    )
    judge = TableJudge({"p0": False, "p1": True, "q": False})
    result = HarmBenchSuite(behaviours, judge, attack=path).run(FakeEngine(lambda prompt: prompt))

    assert [(item.item_id, item.cluster) for item in result.items] == [("a/0", "a"), ("a/1", "a"), ("b/0", "b")]
    assert [item.scores["attack_success"] for item in result.items] == [0.0, 1.0, 0.0]
    assert result.info.suite_version == "harmbench text gcg"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("BehaviorID,test_case\nz,SECRET\n", "names behaviour 'z'"),
        ("BehaviorID,case\na,SECRET\n", "no column 'test_case'"),
        ("BehaviorID,test_case\na, \n", "a test case of 'a' is not a text"),
    ],
)
def test_a_malformed_attack_in_csv_is_refused_without_its_texts(
    behaviours: Path, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "attack.csv"
    path.write_text(content)
    with pytest.raises(UsageError, match=message) as raised:
        HarmBenchSuite(behaviours, StringMatchingJudge(), attack=path)
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize("content", ['{"z": ["p"]}', "[1]", '{"a": [1]}', "{}", "no json"])
def test_a_malformed_attack_is_refused(behaviours: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "attack.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="attack"):
        HarmBenchSuite(behaviours, StringMatchingJudge(), attack=path)


def test_verdicts_that_cannot_be_read_are_unscored_up_to_the_cap(behaviours: Path) -> None:
    judge = TableJudge({"do a": None, "about b\n\n---\n\ndo b": False})
    result = HarmBenchSuite(behaviours, judge, max_unreadable=0.5).run(FakeEngine(lambda prompt: prompt), {"a", "b"})

    assert [(item.scores, bool(item.unscored)) for item in result.items] == [
        ({}, True),
        ({"attack_success": 0.0}, False),
    ]
    with pytest.raises(StageError, match="1 of 2 cases, at most 5% are allowed"):
        HarmBenchSuite(behaviours, judge).run(FakeEngine(lambda prompt: prompt), {"a", "b"})


def test_a_prompt_that_was_not_asked_is_shown_to_no_judge_and_unscored(behaviours: Path) -> None:
    refused = Generation("", 9, 0, False, "prompt of 9 tokens is too long")
    judge = TableJudge({})
    items = HarmBenchSuite(behaviours, judge).run(FakeEngine(lambda _: refused)).items
    assert judge.cases == []
    assert {item.unscored for item in items} == {"prompt of 9 tokens is too long"}
    assert all(item.scores == {} for item in items)


def test_a_judge_that_always_says_the_same_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "b.csv"
    path.write_text(HEADER + "".join(f"do {n},standard,x,,,id{n}\n" for n in range(30)))
    with caplog.at_level(logging.WARNING):
        HarmBenchSuite(path, TableJudge({"no": False})).run(FakeEngine(lambda _: "no"))

    assert "gave all 30 cases the same verdict" in caplog.text


def test_an_unknown_item_is_refused(behaviours: Path) -> None:
    with pytest.raises(UsageError, match="has no item 'z'"):
        HarmBenchSuite(behaviours, StringMatchingJudge()).run(FakeEngine(lambda _: ""), {"z"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Behavior\nSECRET\n", "no column 'FunctionalCategory'"),
        (HEADER, "has no rows"),
        (HEADER + "SECRET,s,s,,,\n", "BehaviorID or Behavior is empty"),
        (HEADER + "SECRET,s,s,,,a\nSECRET,s,s,,,a\n", "'a' appears twice"),
    ],
)
def test_a_malformed_behaviours_file_is_refused_without_its_texts(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "b.csv"
    path.write_text(content)
    with pytest.raises(UsageError, match=message) as raised:
        read_behaviours(path)

    assert "SECRET" not in str(raised.value)


@needs_data
def test_the_public_file_has_its_400_behaviours() -> None:
    found = read_behaviours(DATA / "harmbench")
    functional = [behaviour.functional for behaviour in found.values()]

    assert {name: functional.count(name) for name in set(functional)} == {
        "standard": 200, "contextual": 100, "copyright": 100,
    }  # fmt: skip
    assert sum(map(is_copyright, found.values())) == 100
    assert all(behaviour.context in direct_request(behaviour) for behaviour in found.values())
    suite = HarmBenchSuite(DATA / "harmbench", StringMatchingJudge(), limit=40)
    assert len(suite.cases) == 40
    assert {case.behaviour.functional for case in suite.cases.values()} == {"standard", "contextual", "copyright"}
