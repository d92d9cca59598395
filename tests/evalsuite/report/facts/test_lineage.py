import dataclasses
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from evalsuite.report.facts.lineage import param_changes, params_of
from tests.evalsuite.report.everything import everything

KEYS = st.text("abc", min_size=1, max_size=2)
PARAMS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.lists(st.integers(0, 2), max_size=2)),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=6,
)


def paths(value: Any, place: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if isinstance(value, dict):
        return {path: leaf for key, inner in value.items() for path, leaf in paths(inner, (*place, key)).items()}
    return {place: value}


@given(st.dictionaries(KEYS, PARAMS, max_size=3), st.dictionaries(KEYS, PARAMS, max_size=3))
def test_a_difference_is_every_leaf_that_is_not_on_both_sides_alike(before: Any, after: Any) -> None:
    old = {(".".join(path), json.dumps(leaf)) for path, leaf in paths(before).items()}
    new = {(".".join(path), json.dumps(leaf)) for path, leaf in paths(after).items()}
    changes = param_changes(before, after)
    assert {(each.key, each.before) for each in changes if each.before is not None} == old - new
    assert {(each.key, each.after) for each in changes if each.after is not None} == new - old


def test_an_empty_mapping_is_a_value() -> None:
    (change,) = param_changes({"noise": {}}, {"noise": {"golden/exact": 0.1}})[:1]
    assert (change.key, change.before, change.after) == ("noise", "{}", None)
    assert param_changes({}, {}) == ()


def test_settings_are_told_as_a_difference_or_with_the_reason_why_not() -> None:
    data = everything()
    found = params_of(data)
    assert found.changes is not None
    assert {each.key: (each.before, each.after) for each in found.changes} == {
        "train.seed": ("1", "2"),
        "old": ("true", None),
    }
    unrecorded = params_of(dataclasses.replace(data, champion_inputs=None))
    assert (unrecorded.changes, unrecorded.note) == (
        None,
        "The champion's settings: not recorded by the run that promoted it.",
    )
    assert params_of(dataclasses.replace(data, run_inputs=None)).changes is None
    decision = data.decision.model_copy(update={"baselines": {"base": "b"}})
    assert "no champion" in params_of(dataclasses.replace(data, decision=decision)).note
