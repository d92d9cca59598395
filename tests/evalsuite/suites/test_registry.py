"""Suites of this package, and of others; the one of docs/own_suite.md, as it stands there."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.suites.base import Suite
from evalsuite.suites.entry import SuiteContext
from evalsuite.suites.golden_set.settings import GoldenParams
from evalsuite.suites.registry import built_in, load_suite
from evalsuite.testing import FakeEngine

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs/own_suite.md").read_text(encoding="utf-8")
GOLDEN = GoldenParams(path=str(ROOT / "golden_sets/support"))
OTHERS = """
plain = plain_suite:Plain
bare = palindromes:chosen_items
other-name = palindromes:SUITE
broken = nowhere:Suite
"""


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A package as pip leaves it: the module of the docs, a suite that is a class alone, and their entry points."""
    code = re.search(r"```python\n(.*?)```", DOCS, re.DOTALL)
    points = re.search(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    assert code
    assert points
    (tmp_path / "palindromes.py").write_text(code[1])
    (tmp_path / "plain_suite.py").write_text(
        "from palindromes import Reversal\nclass Plain(Reversal): name = 'plain'\n"
    )
    found = dict(re.findall(r'^(\w+) = "(.*)"$', points[1], re.MULTILINE))
    lines = [f"{name} = {value}" for name, value in found.items()]
    folder = tmp_path / "palindromes-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: palindromes\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[ratchet.suites]\n" + "\n".join(lines) + OTHERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "words.txt").write_text("drawer parts abc")
    yield {"words": str(tmp_path / "words.txt")}
    for name in ("palindromes", "plain_suite"):
        sys.modules.pop(name, None)


def load(name: str, values: dict[str, Any], limit: int | None = None) -> Suite:
    return load_suite(name, values, SuiteContext(name, GOLDEN, limit))


ANSWERS = {"Reverse: drawer": "reward", "Reverse: parts": "strap ", "Reverse: abc": "abc"}


def test_the_suite_of_the_docs_is_found_by_its_entry_point_and_runs(words: dict[str, Any]) -> None:
    suite = load("reversal", words)
    result = suite.run(FakeEngine(ANSWERS))
    assert {item.item_id: item.scores["exact"] for item in result.items} == {"drawer": 1.0, "parts": 1.0, "abc": 0.0}
    some = suite.run(FakeEngine(ANSWERS), ["parts"])
    assert some.items == result.items[1:2]
    with pytest.raises(UsageError, match="has no item 'x'"):
        suite.run(FakeEngine(ANSWERS), ["x"])


def test_the_smaller_of_two_limits_counts(words: dict[str, Any]) -> None:
    for own, asked, count in ((None, None, 3), (2, None, 2), (None, 1, 1), (2, 1, 1), (1, 2, 1)):
        result = load("reversal", words | {"limit": own}, asked).run(FakeEngine(ANSWERS))
        assert len(result.items) == count


@pytest.mark.usefixtures("words")
def test_a_class_alone_is_a_suite_whose_settings_are_its_arguments() -> None:
    suite = load("plain", {"words": ["drawer", "abc"]})
    result = suite.run(FakeEngine(ANSWERS))
    assert [(item.item_id, item.scores["exact"]) for item in result.items] == [("drawer", 1.0), ("abc", 0.0)]


def test_the_test_of_the_docs_passes_and_can_fail(words: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    _, test = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    names: dict[str, Any] = {"__name__": "test_palindromes"}
    exec(compile(test, "test_palindromes.py", "exec"), names)  # noqa: S102  the docs of this repository
    (check,) = [value for name, value in names.items() if name.startswith("test_")]
    check()
    monkeypatch.setattr(names["Reversal"], "run", lambda *_, **__: load("reversal", words))
    with pytest.raises(AttributeError):
        check()


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("reversl", {}, "no suite 'reversl'; did you mean 'reversal'"),
        ("reversal", {"word": "x"}, r"unknown key evaluation\.suites\.reversal\.word; did you mean 'words'"),
        ("reversal", {"words": 3}, r"evaluation\.suites\.reversal\.words = 3: expected text"),
        ("reversal", {"words": "no/such/file"}, r"'reversal' \(palindromes:SUITE\) could not be made: FileNotFoundE"),
        ("plain", {"word": []}, r"'plain' \(plain_suite:Plain\) could not be made: TypeError"),
        ("broken", {}, "'broken' .* could not be made: ModuleNotFoundError"),
        ("other-name", {"words": __file__}, "makes a suite called 'reversal'"),
        ("bare", {"suite": "s", "items": {"a": 1}, "only": ["a"]}, "has no 'name'; a suite has name, items, run"),
    ],
)
@pytest.mark.usefixtures("words")
def test_what_is_no_suite_is_one_clear_error(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(name, values)


@pytest.mark.usefixtures("words")
def test_a_class_alone_takes_no_limit_of_the_command_line() -> None:
    with pytest.raises(UsageError, match=r"takes no --limit; give it an argument of its own under evaluation\.suites"):
        load("plain", {"words": ["abc"]}, 1)


def test_params_turn_it_on(words: dict[str, Any]) -> None:
    from evalsuite.suites.lm_eval.settings import HarnessParams
    from tasks.config.evaluation import EvaluationParams
    from tasks.evaluation.suites import suites_of

    params = EvaluationParams(golden=GOLDEN, harness=HarnessParams(tasks={}), suites={"reversal": words})
    assert [suite.name for suite in suites_of(params)] == ["golden", "reversal"]


def test_every_suite_of_this_package_is_named_by_its_section_and_takes_a_limit() -> None:
    for name, entry in built_in().items():
        assert (entry.name, entry.takes_limit) == (name, True)


def test_a_file_that_is_no_setting_is_refused(words: dict[str, Any]) -> None:
    module = Path(words["words"]).with_name("palindromes.py")
    module.write_text(module.read_text().replace('files=("words",)', 'files=("word",)'))
    with pytest.raises(UsageError, match=r"'reversal' .* could not be made: ValueError: .* has 'word', which is no s"):
        load("reversal", words)
