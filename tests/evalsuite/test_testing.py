"""The engine without a model, and the results without a run."""

import inspect
import math

import pytest

from evalsuite.engines.base import Engine, Generation, GenerationRequest, Loglikelihood
from evalsuite.items.results import items_sha256
from evalsuite.testing import FakeEngine, make_item, make_result


def test_the_fake_engine_has_every_method_of_an_engine_with_its_arguments() -> None:
    for name, member in vars(Engine).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            own = inspect.signature(getattr(FakeEngine, name)).parameters
            assert list(own) == list(inspect.signature(member).parameters)
    engine = FakeEngine({})
    assert all(hasattr(engine, name) for name in Engine.__annotations__)


def test_answers_come_in_order_and_each_is_told_as_soon_as_it_is_known() -> None:
    refused = Generation("", 9, 0, False, "too long")
    engine = FakeEngine({"a": "one", "b": refused})
    told: list[tuple[int, Generation]] = []
    found = engine.generate([GenerationRequest("b"), GenerationRequest("a")], "x", lambda *each: told.append(each))
    assert found == [refused, Generation("one", 1, 1, True)]
    assert told == list(enumerate(found))
    assert engine.prompts == ["b", "a"]


def test_a_prompt_that_is_not_scripted_fails_the_test() -> None:
    with pytest.raises(KeyError, match="other"):
        FakeEngine({"a": "one"}).generate([GenerationRequest("other")], "x")


def test_log_probabilities_are_those_of_the_script() -> None:
    refused = Loglikelihood(-math.inf, False, "too long")
    engine = FakeEngine({}, lambda context, continuation: refused if context else float(len(continuation)))
    assert engine.loglikelihoods([("", "abc"), ("c", "d")], "x") == [Loglikelihood(3.0, False), refused]
    assert FakeEngine({}).loglikelihoods([("c", "d")], "x") == [Loglikelihood(-1.0, False)]


def test_a_result_has_the_mean_of_its_items_and_their_hash() -> None:
    items = [make_item("a", {"exact": 1.0}), make_item("b", {"exact": 0.0}), make_item("c", {}, metrics=("exact",))]
    result = make_result(iter(items), "own", suite_version="7")
    (metric,) = result.summary().metrics
    assert (metric.mean, metric.n, metric.unscored) == (0.5, 2, 1)
    assert (result.info.suite, result.info.suite_version) == ("own", "7")
    assert result.info.items_sha256 == items_sha256(items)
    assert len({item.item_hash for item in items}) == 3
