"""Numbers as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.suites.golden_set.numbers import Number, agrees, last_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("\u22125", -5),
        ("\u20135 degrees", -5),
        ("-.5", -0.5),
        (".5", 0.5),
        ("42.", 42),
        ("The answer is 5.", 5),
        ("$1,234,567.50.", 1234567.5),
        ("12,34,567", 1234567),
        ("1 234", 1234),
        ("1\u202f234\u202f567", 1234567),
        ("1'234", 1234),
        ("1_000", 1000),
        ("1.234,56", 1234.56),
        ("1.234.567", 1234567),
        ("1e-5", 1e-5),
        ("3.0e2", 300),
        ("1.2\u00d710^3", 1200),
        ("1.2 x 10^{-3}", 0.0012),
        ("10\u207b\u00b3", 0.001),
        ("1/2", 0.5),
        ("3\u00bd", 3.5),
        ("\u0664\u0662", 42),
        ("\uff11\uff12", 12),
        ("40+2=42", 42),
        ("x = -3", -3),
        ("about 5 km", 5),
        ("5km", 5),
        ("1,2,3", 3),
        ("from 3 to 7", 7),
    ],
)
def test_numbers_read_as_people_read_them(text: str, value: float) -> None:
    found = last_number(text)
    assert found is not None
    assert found.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "between 10-20",
        "10\u201320",
        "2024-05-06",
        "5/6/2024",
        "version 1.2.3",
        "12,5",
        "x^2",
        "2^10",
        "1e999",
    ],
)
def test_what_can_be_read_in_two_ways_is_no_number(text: str) -> None:
    assert last_number(text) is None


@given(st.floats(-1e12, 1e12, allow_nan=False), st.sampled_from(["{}", "It is {}.", "= {} m", "**{}**"]))
def test_what_python_writes_is_read_back(value: float, form: str) -> None:
    found = last_number(form.format(repr(value)))
    assert found is not None
    assert found.value == value


@given(st.integers(-(10**15), 10**15))
def test_thousands_separators_change_nothing(value: int) -> None:
    for text in (f"{value:,}", f"{value:_}", f"{value:,}".replace(",", "\u202f"), f"{value:,}".replace("-", "\u2212")):
        assert last_number(text) == Number(float(value), False)


@given(st.text(max_size=40))
def test_any_text_gives_a_finite_number_or_none(text: str) -> None:
    found = last_number(text)
    assert found is None or abs(found.value) < float("inf")


@pytest.mark.parametrize(
    ("output", "reference", "same"),
    [
        ("5%", "5", True),
        ("50%", "0.5", True),
        ("0.5%", "0.5", False),
        ("50", "50%", True),
        ("0.5", "50%", True),
        ("6%", "5%", False),
    ],
)
def test_a_percent_sign_is_a_unit_or_a_hundredth(output: str, reference: str, same: bool) -> None:
    found, expected = last_number(output), last_number(reference)
    assert found is not None
    assert expected is not None
    assert agrees(found, expected, 1e-9, 1e-6) is same
