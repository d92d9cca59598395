"""Suites of other packages; the one of docs/own_suite.md, as it stands there."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.suites.plugins import load_suite
from tests.evalsuite.suites.fake_engine import FakeEngine

DOCS = (Path(__file__).parents[3] / "docs/own_suite.md").read_text(encoding="utf-8")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package as pip leaves it: the module of the docs, and its entry points."""
    code = re.search(r"```python\n(.*?)```", DOCS, re.DOTALL)
    points = re.search(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    assert code
    assert points
    (tmp_path / "palindromes.py").write_text(code[1])
    found = dict(re.findall(r'^(\w+) = "(.*)"$', points[1], re.MULTILINE))
    lines = [f"{name} = {value}" for name, value in found.items()]
    others = ["bare = palindromes:check_known", "other-name = palindromes:Reversal", "broken = nowhere:Suite"]
    folder = tmp_path / "palindromes-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: palindromes\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[ratchet.suites]\n" + "\n".join([*lines, *others]) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("palindromes", None)


WORDS = {"words": ["drawer", "parts", "abc"]}


@pytest.mark.usefixtures("installed")
def test_the_suite_of_the_docs_is_found_by_its_entry_point_and_runs() -> None:
    suite = load_suite("reversal", WORDS)
    answers = {"Reverse: drawer": "reward", "Reverse: parts": "strap ", "Reverse: abc": "abc"}
    result = suite.run(FakeEngine(answers.__getitem__))
    assert {item.item_id: item.scores["exact"] for item in result.items} == {"drawer": 1.0, "parts": 1.0, "abc": 0.0}
    some = suite.run(FakeEngine(answers.__getitem__), ["parts"])
    assert some.items == result.items[1:2]
    with pytest.raises(UsageError, match="has no item 'x'"):
        suite.run(FakeEngine(answers.__getitem__), ["x"])


@pytest.mark.usefixtures("installed")
def test_the_test_of_the_docs_passes_and_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    _, test = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    names: dict[str, Any] = {"__name__": "test_palindromes"}
    exec(compile(test, "test_palindromes.py", "exec"), names)  # noqa: S102  the docs of this repository
    (check,) = [value for name, value in names.items() if name.startswith("test_")]
    check()
    monkeypatch.setattr(names["Reversal"], "run", lambda *_, **__: load_suite("reversal", WORDS))
    with pytest.raises(AttributeError):
        check()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("reversl", WORDS, "no suite 'reversl' .* did you mean 'reversal'"),
        ("reversal", {"word": []}, r"'reversal' \(palindromes:Reversal\) could not be made: TypeError"),
        ("broken", {}, "'broken' .* could not be made: ModuleNotFoundError"),
        ("other-name", WORDS, "makes a suite called 'reversal'"),
        ("bare", {"suite": "s", "only": ["a"], "known": ["a"]}, "has no 'name'; a suite has name, items, run"),
    ],
)
def test_what_is_no_suite_is_one_clear_error(name: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_suite(name, params)


@pytest.mark.usefixtures("installed")
def test_params_turn_it_on() -> None:
    from tasks.config.evaluation import EvaluationParams
    from tasks.config.golden import GoldenParams
    from tasks.config.suites import HarnessParams
    from tasks.evaluation.suites import suites_of

    root = Path(__file__).parents[3]
    golden = GoldenParams(path=str(root / "golden_sets/support"))
    params = EvaluationParams(golden=golden, harness=HarnessParams(tasks={}), suites={"reversal": WORDS})
    assert [suite.name for suite in suites_of(params)] == ["golden", "reversal"]
