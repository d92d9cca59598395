"""Which lists of steps are taken."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.core import extensions
from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.config.reading import parsed
from tasks.config.section import Section
from tasks.prepare.order import chosen_steps
from tasks.prepare.standard import STEPS
from tasks.prepare.steps import Outcome, Step


class Shout(Step):
    changes_rows = True
    mark: str = "!"

    def run(self, rows: Any, given: Any) -> Outcome:
        return Outcome(rows)


class Elsewhere(Step):
    where: str = "https://gpu.example/v1"

    def run(self, rows: Any, given: Any) -> Outcome:
        return Outcome(rows)

    def sends_rows_to(self) -> str:
        if self.where == "broken":
            raise KeyError("no such place")
        return self.where


class Unfinished(Step):
    pass


class Entry:
    """What ``importlib.metadata`` finds."""

    def __init__(self, name: str, made: Any) -> None:
        self.name, self.value, self._made = name, f"theirs:{name}", made

    def load(self) -> Any:
        if isinstance(self._made, Exception):
            raise self._made
        return self._made


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Entry("shout", Shout),
        Entry("elsewhere", Elsewhere),
        Entry("unfinished", Unfinished),
        Entry("no_step", dict),
        Entry("absent", ImportError("No module named 'theirs'\nand more")),
        Entry("held_out", Shout),
    ]
    monkeypatch.setattr(extensions, "entry_points", lambda group: found if group == "ratchet.prepare_steps" else [])


def params(*steps: Any, **others: Any) -> PrepareParams:
    return PrepareParams.model_validate({"sources": ["data/raw/rows.jsonl"], "steps": list(steps), **others})


def names(*steps: Any) -> list[str]:
    return [chosen.name for chosen in chosen_steps(params(*steps))]


def test_without_a_list_the_steps_are_those_of_earlier_versions() -> None:
    default = chosen_steps(PrepareParams(sources=("data/raw/rows.jsonl",)))
    assert [chosen.name for chosen in default] == ["duplicates", "held_out", "max_rows", "length"]
    assert all(chosen.entry_point is None for chosen in default)


@given(st.lists(st.sampled_from([*STEPS, "shout"]), unique=True))
def test_a_list_is_taken_exactly_where_both_checks_are_in_it_and_see_every_change(steps: list[str]) -> None:
    checks = [steps.index(name) for name in ("held_out", "length") if name in steps]
    changing = [at for at, name in enumerate(steps) if name in ("shout", "personal_data")]
    sound = len(checks) == 2 and max(changing, default=-1) < min(checks)
    try:
        taken = names(*({name: {"rows": 9}} if name == "select" else name for name in steps)) == steps
    except UsageError:
        taken = False
    assert taken is sound


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            ["duplicates", "length"],
            "prepare.steps leaves held_out out: rows that repeat a golden or test item would be",
        ),
        (["held_out"], "prepare.steps leaves length out: "),
        ([], "prepare.steps leaves held_out out: "),
        (
            ["held_out", "shout", "length"],
            "step 'shout' (theirs:shout) changes rows and stands after held_out: rows that",
        ),
        (["length", "shout", "held_out"], "changes rows and stands after length: a row might be longer than"),
        (["held_out", "length", "held_out"], "prepare.steps names held_out twice; remove one of them"),
        (["held_uot", "length"], "no step 'held_uot'; did you mean 'held_out'? Known here: duplicates, "),
        (["shuot", "held_out", "length"], "did you mean 'shout'? "),
        (
            ["no_step"],
            "step 'no_step' (theirs:no_step) could not be made: TypeError: it is not a subclass of tasks.prepare",
        ),
        (
            ["unfinished"],
            "(theirs:unfinished) could not be made: TypeError: Can't instantiate abstract class Unfinished",
        ),
        (["absent"], "step 'absent' (theirs:absent) could not be made: ImportError: No module named 'theirs'"),
        ([{"shout": {"mark": 3}}], "prepare.steps.shout.mark = 3: expected text; put the value in quotes"),
        ([{"length": {"limit": 3}}], "unknown key prepare.steps.length.limit; Known here: none"),
    ],
)
def test_what_is_wrong_with_a_list_is_one_line_that_says_why(steps: list[Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        names(*steps)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_other_package_takes_the_name_of_a_check() -> None:
    (check, _) = chosen_steps(params("held_out", "length"))
    assert type(check.step) is STEPS["held_out"]


def test_max_rows_without_its_step_is_refused_since_it_would_do_nothing() -> None:
    with pytest.raises(UsageError, match=r"prepare\.max_rows = 9 has no effect: prepare\.steps leaves max_rows out"):
        chosen_steps(params("held_out", "length", max_rows=9))


class Whole(Section):
    prepare: PrepareParams


@pytest.mark.parametrize("step", [{"shout": {}, "mark": "?"}, 3, None, ["held_out"], {"shout": "!"}, {}, {"name": "x"}])
def test_a_step_that_is_no_name_with_settings_is_told_by_its_place(step: Any) -> None:
    with pytest.raises(
        UsageError, match=r"^params\.yaml: prepare\.steps\.1.*: expected a step's name, or one name with"
    ):
        parsed({"prepare": {"sources": ["a"], "steps": ["held_out", step]}}, Whole, "params.yaml")


def test_settings_reach_the_step_and_what_is_written_down_is_read_again() -> None:
    given = params({"shout": {"mark": "?"}}, {"held_out": None}, "length")
    assert chosen_steps(given)[0].step == Shout(mark="?")
    assert PrepareParams.model_validate(given.model_dump(mode="json")) == given


def test_a_step_that_sends_rows_elsewhere_stands_behind_personal_data() -> None:
    with pytest.raises(UsageError, match=r"elsewhere.*https://gpu\.example/v1, which is not on this machine"):
        names("elsewhere", "personal_data", "held_out", "length")
    assert names("personal_data", "elsewhere", "held_out", "length")[1] == "elsewhere"
    assert names({"elsewhere": {"where": ""}}, "held_out", "length")[0] == "elsewhere"
    with pytest.raises(UsageError, match=r"theirs:elsewhere.*could not say where it sends rows: KeyError"):
        names({"elsewhere": {"where": "broken"}}, "held_out", "length")
