"""The option that an answer chooses."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.suites.golden_set.choices import chosen_letter

TEN = tuple(f"o{n}" for n in range(10))


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b)", "B"),
        ("(B)", "B"),
        ("[B]", "B"),
        ("**B**", "B"),
        ("`B`", "B"),
        ("__B__.", "B"),
        ("**B.** because", "B"),
        ("(B) o1", "B"),
        ("\uff22", "B"),
        ("The answer is **B**", "B"),
        ("**Answer:** B", "B"),
        ("The correct answer is B.", "B"),
        ("Answer: I think B", "B"),
        ("The answer is A dog, so B", "B"),
        ("The answer is A", "A"),
        ("The answer is I.", "I"),
        ("Answer: B because A is wrong", "B"),
        ("\\boxed{B}", "B"),
        ("so $\\boxed{\\text{B}}$.", "B"),
        ("\\text{B}", "B"),
        ("Option B", "B"),
        ("B is correct", "B"),
        ("Answer: A. No, the answer is B", "B"),
        ("R\u00e9ponse : B", "B"),
        ("\u7b54\u6848\uff1aB", "B"),
        ("o1", "B"),
        ("O1.", "B"),
        ("The answer is A and B", None),
        ("The answer is B, C", None),
        ("I think that a dog would do", None),
        ("Vitamin B is good", None),
        ("Answer: Z", None),
        ("", None),
    ],
)
def test_letters_read_as_people_read_them(text: str, letter: str | None) -> None:
    assert chosen_letter(text, TEN) == letter


def test_options_that_differ_in_a_sign_are_told_apart() -> None:
    assert chosen_letter("-5", ("5", "-5")) == "B"
    assert chosen_letter("C#", ("C++", "C#", "C")) == "B"
    assert chosen_letter("?", ("!", "?")) == "B"


@given(
    st.sampled_from(string.ascii_uppercase[:10]),
    st.sampled_from(["{}", "**{}**", "({})", "Answer: {}", "\\boxed{{{}}}", "The answer is `{}`."]),
)
def test_every_letter_is_read_in_every_dress(letter: str, form: str) -> None:
    assert chosen_letter(form.format(letter), TEN) == letter


@given(st.text(max_size=60))
def test_any_text_chooses_an_option_or_none(text: str) -> None:
    assert chosen_letter(text, ("yes", "no")) in ("A", "B", None)
