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
        "from 3 to 7",
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


@pytest.mark.parametrize(
    ("output", "reference"),
    [
        # sign and currency
        ("\u2212$5", "$5"),
        ("-$1,200.50", "$1,200.50"),
        ("\u2212\u20ac5", "\u20ac5"),
        (r"-\$5", "5"),
        ("-US$5", "5"),
        # a sign that stands apart
        ("- 5", "5"),
        ("-**5**", "5"),
        ("minus 5", "5"),
        ("\u20145", "5"),
        ("x = \u20145", "5"),
        # LaTeX
        ("1{,}000", "2{,}000"),
        (r"$1\,234$", r"$9\,234$"),
        (r"\frac{3}{4}", r"\frac{1}{4}"),
        (r"2\sqrt{3}", r"5\sqrt{3}"),
        ("2\u221a3", "\u221a3"),
        ("2^{10}", "3^{10}"),
        ("5**2", "2"),
        (r"\pi/2", "2"),
        (r"2\pi", "2"),
        (r"\sin 30", "30"),
        (r"5 \times 10^{3}", r"7 \times 10^{3}"),
        # thousands with spaces beside another number
        ("2 items cost 1 000", "2 items cost 5 000"),
        ("In 2024 it was 12 500 EUR", "In 2023 it was 9 500 EUR"),
        # fractions, ratios, ranges
        ("3 / 4", "1 / 4"),
        ("7 / 10", "3 / 10"),
        ("5 : 1", "9 : 1"),
        ("7 of 10", "10"),
        ("half of 10", "10"),
        ("3 - 5", "5"),
        ("3 \u2013 5", "5"),
        ("3 to 5", "5"),
        ("3..5", "5"),
        ("3~5", "5"),
        ("5% - 10%", "10%"),
        # a decimal comma
        ("0,125", "125"),
        # magnitudes
        ("3 million", "3 thousand"),
        ("$1.5B", "1.5"),
        ("5k", "5"),
        ("3\u5104", "3\u4e07"),
        # expressions
        ("5 \u00b1 0.2", "9 \u00b1 0.2"),
        ("5+3i", "3"),
        ("5!", "5"),
        ("x + 3", "3"),
        ("5 mod 3", "3"),
        ("5 \u00e0 10", "10"),
        ("5 \u043c\u0438\u043b\u043b\u0438\u043e\u043d\u043e\u0432", "5 \u0442\u044b\u0441\u044f\u0447"),
        ("5 \u0932\u093e\u0916", "5"),
        ("\u8ca05", "5"),
        ("moins 5", "5"),
        ("x-5", "5"),
        ("the value minus 12", "-12"),
        ("3x", "3"),
        ("f(5)", "5"),
        ("5 squared", "5"),
        ("3 and a half", "3"),
        ("> 5", "< 5"),
        ("101\u2082", "1012"),
        ("0x1F", "0"),
    ],
)
def test_other_numbers_and_expressions_do_not_agree(output: str, reference: str) -> None:
    found, expected = last_number(output), last_number(reference)
    assert found is None or expected is None or not agrees(found, expected, 1e-9, 1e-6)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-$5", -5),
        ("$-5$", -5),
        ("minus 5", -5),
        ("It is about minus 5 degrees", -5),
        ("5 dozen", 5),
        ("\u2212\u00a05", -5),
        ("x = - 5", -5),
        ("The answer is - 5.", -5),
        ("- 5", -5),
        ("\u207b5", -5),
        ("-**5**", -5),
        ("(-5)", -5),
        ("-US$5", -5),
        (r"\frac{3}{4}", 0.75),
        (r"-\frac12", -0.5),
        (r"1\frac{1}{2}", 1.5),
        ("3 / 4", 0.75),
        ("10^(-3)", 0.001),
        ("10**3", 1000),
        (r"5 \times 10^{3}", 5000),
        ("1{,}000", 1000),
        (r"$1\,234$", 1234),
        ("2 items cost 1 000", 1000),
        ("1 234,5", 1234.5),
        ("3 million", 3e6),
        ("3 hundred thousand", 3e5),
        ("$1.5B", 1.5e9),
        ("5k", 5000),
        ("3\u4e07\u5186", 3e4),
        ("1\u51042000\u4e07", 1.2e8),
        ("5kg", 5),
        ("5 m\u00b2", 5),
        ("$5/hour", 5),
        ("The answer is 5!", 5),
        ("The answer\u20145", 5),
        ("\u7b54\u6848\u662f5", 5),
        ("five (5)", 5),
        ("Step 3: 5", 5),
        (r"so $\boxed{12}$.", 12),
        ("<answer>42</answer>", 42),
        ("He pays 30*6=$<<30*6=180>>180 a week", 180),
    ],
)
def test_signs_latex_and_magnitudes_belong_to_the_number(text: str, value: float) -> None:
    found = last_number(text)
    assert found is not None
    assert found.value == pytest.approx(value, rel=1e-12)


@given(
    st.integers(1, 10**6),
    st.sampled_from(["-", "\u2212", "minus "]),
    st.sampled_from(
        ["{s}{n}", "{s}${n}", "{s}\u20ac{n:,}", "= {s} {n}", r"{s}\${n}", "{s}**{n}**", "The sum is {s}{n}."]
    ),
)
def test_no_dress_takes_a_sign_away(number: int, sign: str, form: str) -> None:
    found = last_number(form.format(s=sign, n=number))
    assert found is not None
    assert found.value == -number


@given(
    st.integers(1, 999),
    st.integers(1, 999),
    st.sampled_from(
        [
            " - ",
            "-",
            " \u2013 ",
            " to ",
            " of ",
            " out of ",
            " \u00b1 ",
            " + ",
            " : ",
            " * ",
            "^",
            " or ",
            "\u221a",
            "~",
        ]
    ),
)
def test_two_numbers_that_an_operator_joins_are_not_one(one: int, other: int, operator: str) -> None:
    if not (operator == "^" and one == 10):
        assert last_number(f"It was {one}{operator}{other}") is None


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
        ("1%", "1", True),
        ("100%", "1", True),
        ("2%", "2", True),
        ("50 percent", "0.5", True),
        ("5\u066a", "5%", True),
        ("5\u2030", "0.005", True),
    ],
)
def test_a_percent_sign_is_a_unit_or_a_hundredth(output: str, reference: str, same: bool) -> None:
    found, expected = last_number(output), last_number(reference)
    assert found is not None
    assert expected is not None
    assert agrees(found, expected, 1e-9, 1e-6) is same
