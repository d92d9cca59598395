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


COLOURS = ("red", "blue", "green", "yellow")


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        # a denied letter
        ("The answer is A and not B", "A"),
        ("The answer is not B.", None),
        ("The answer isn't B", None),
        ("The answer cannot be C", None),
        ("Answer: not A", None),
        ("Answer: neither A nor B", None),
        ("The answer is not A or B", None),
        ("The answer is not A but B", "B"),
        ("The answer is B rather than C", "B"),
        ("Answer: D is wrong, so B", "B"),
        ("Answer: B, C is wrong", "B"),
        ("Answer: B. The answer is not C.", "B"),
        ("Answer: A. Wait, the answer is not A.", None),
        ("A is wrong", None),
        ("A is wrong. B is right", "B"),
        ("Neither A nor B is correct", None),
        ("La respuesta no es B", None),
        ("Die Antwort ist nicht B", None),
        ("not \\boxed{A}", None),
        ("The answer is not blue.", None),
        # the final statement counts
        ("Answer: B\n\nExplanation: Option D is wrong.", "B"),
        ("A. The answer is C.", "C"),
        ("A: no.\nB: no.\nC: yes.\nAnswer: C", "C"),
        ("\\boxed{A}. No, \\boxed{B}", "B"),
        # several letters
        ("\\boxed{A} or \\boxed{B}", None),
        ("Answer: A B", None),
        ("Answer: A; B", None),
        ("Answer: A+B", None),
        ("Answer: B/C", None),
        ("A or B is correct", None),
        ("A. red\nB. blue", None),
        ("Option A and option B", None),
        # letters that look like words, quotes, small letters, other languages
        ("The answer is A because it is red.", "A"),
        ("The answer is 'A'.", "A"),
        ("answer: b", "B"),
        ("The answer is (b)", "B"),
        ("The answer is a dog", None),
        ("\\boxed{B. green}", "B"),
        ("The answer is blue.", "B"),
        ("B because it is blue", "B"),
        ("B\nExplanation: it is blue", "B"),
        ("B - green", "B"),
        ("Answer - B", "B"),
        ("The answer to the question is B.", "B"),
        ("\u7b54\u6848\u662fB", "B"),
        ("Die Antwort ist B", "B"),
        ("La r\u00e9ponse est B", "B"),
    ],
)
def test_denied_letters_never_count_and_the_final_statement_does(text: str, letter: str | None) -> None:
    assert chosen_letter(text, COLOURS) == letter


@pytest.mark.parametrize(
    ("options", "text", "letter"),
    [
        (("x\u00b2", "x2"), "x\u00b2", "A"),
        (("x\u00b2", "x2"), "x2", "B"),
        (("x\u00b2", "x2"), "The answer is x2.", "B"),
        (("\u230ax\u230b", "\u2308x\u2309"), "\u230ax\u230b", "A"),
        (("\u230ax\u230b", "\u2308x\u2309"), "\u2308x\u2309", "B"),
        (("Yes!", "Yes?"), "Yes?", "B"),
        (("$50", "$75"), "$75", "B"),
        (("$50", "$75"), "The answer is $75.", "B"),
        (("$x$", "$-x$"), "$-x$", "B"),
        (("True", "False"), "B. False", "B"),
        (("True", "False"), "Answer: B) False", "B"),
        (("yes", "not guilty"), "(B) not guilty", "B"),
        (("yes", "not guilty"), "The answer is B, not guilty.", "B"),
        (("red", "none", "not red"), "C: not red", "C"),
        (("x", "-x"), "\u2013x", "B"),
    ],
)
def test_an_option_is_chosen_by_its_text_as_written(options: tuple[str, ...], text: str, letter: str) -> None:
    assert chosen_letter(text, options) == letter


@given(
    st.sampled_from("ABCD"),
    st.sampled_from(["not {}", "The answer is not {}.", "Answer: not {}", "{} is wrong", "It can't be {}"]),
    st.sampled_from(["", ".", "\n", " **Note**"]),
)
def test_a_letter_that_is_only_denied_is_never_chosen(letter: str, form: str, end: str) -> None:
    assert chosen_letter(form.format(letter) + end, COLOURS) is None


@given(
    st.sampled_from("ABCD"),
    st.sampled_from("ABCD"),
    st.sampled_from(["Answer: {} and {}", "The answer is {} or {}", "{}, {}", "Answer: {}/{}", "\\boxed{{{}, {}}}"]),
)
def test_two_letters_in_one_statement_are_none(one: str, other: str, form: str) -> None:
    if one != other:
        assert chosen_letter(form.format(one, other), COLOURS) is None


@given(
    st.sampled_from("ABCD"),
    st.sampled_from("ABCD"),
    st.sampled_from(["{}. no.", "Option {}.", "Answer: {}."]),
)
def test_the_last_statement_beats_every_letter_before_it(before: str, letter: str, form: str) -> None:
    assert chosen_letter(f"{form.format(before)}\nThe answer is {letter}.", COLOURS) == letter


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
