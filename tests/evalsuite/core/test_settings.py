"""True and false where numbers are expected."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, JsonValue, ValidationError

from evalsuite.core.settings import Settings


class Inner(Settings):
    on: bool = False
    share: Annotated[float, Field(ge=0.0)] = 0.5


class Outer(Settings):
    count: int = 1
    limit: int | Literal["all"] | None = None
    shares: dict[str, float] = Field(default_factory=dict)
    table: tuple[tuple[int, ...], ...] = ()
    named: dict[str, Inner] = Field(default_factory=dict)
    either: bool | int = 0
    free: dict[str, JsonValue] = Field(default_factory=dict)
    whatever: dict[str, Any] = Field(default_factory=dict)
    mixed: int | Inner = 0


@pytest.mark.parametrize(
    "data",
    [
        {"count": True},
        {"limit": False},
        {"shares": {"a": 0.5, "b": True}},
        {"table": [[1], [True]]},
        {"named": {"a": {"share": True}}},
        {"mixed": True},
    ],
)
def test_a_truth_in_the_place_of_a_number_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"expected (a number|numbers), not true or false"):
        Outer.model_validate(data)


def test_a_truth_stays_where_one_may_stand() -> None:
    data = {
        "named": {"a": {"on": True}},
        "either": True,
        "free": {"a": [True]},
        "whatever": {"a": True},
        "mixed": {"on": True},
    }
    read = Outer.model_validate(data)
    assert (read.named["a"].on, read.either, read.free, read.whatever) == (True, True, {"a": [True]}, {"a": True})
    assert read.mixed == Inner(on=True)
