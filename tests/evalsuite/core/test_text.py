"""What tells texts apart, and what does not."""

import re
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evalsuite.core import text as module
from evalsuite.core.text import (
    IGNORABLE,
    as_written,
    comparable,
    occurs,
    runs,
    same_answer,
    whole_form,
    word_count,
    words_of,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TELLING = st.characters(categories=["Mn", "Mc", "Sm", "Sc", "So", "Nd"])
BETWEEN = st.sampled_from(["", "a", "\u0926", "5", "x "])


@given(TEXT)
def test_a_form_is_its_own_form(text: str) -> None:
    assert comparable(comparable(text)) == comparable(text)
    assert as_written(as_written(text)) == as_written(text)


@given(st.text("ab1 ()!-\u2013\u2212:;,.'\"*_`{[]}\u00b2\u2082\u00bd\u2022\n\u4e00", max_size=14))
def test_a_form_of_signs_is_its_own_form(text: str) -> None:
    assert comparable(comparable(text)) == comparable(text)


@given(TEXT, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_every_unicode_form_of_a_text_is_the_same_answer(text: str, form: str) -> None:
    # NFKC makes x\u00b2 x2 and 3\u00bd 31/2, which are other answers.
    changed = ("<super>", "<sub>", "<fraction>") if "K" in form else ()
    assume(not any(unicodedata.decomposition(char).startswith(changed) for char in text if changed))
    assert comparable(unicodedata.normalize(form, text)) == comparable(text)


@given(BETWEEN, TELLING, BETWEEN)
def test_a_mark_sign_symbol_or_digit_more_is_another_answer(before: str, char: str, after: str) -> None:
    assume(not IGNORABLE.match(char))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).casefold())
    assume(folded.strip())
    # What NFKC takes apart into sentence punctuation (a parenthesised digit) is not this test's question.
    assume(not any(unicodedata.category(each)[0] in "PZ" for each in folded))
    assert not same_answer(before + char + after, before + after)


PLAIN_SCRIPT = "0123456789+-=()n"
SUPERSCRIPT = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b\u207c\u207d\u207e\u207f"
SUBSCRIPT = "".join(chr(0x2080 + n) for n in range(15)) + "\u2099"


@given(st.text("x10", max_size=3), st.integers(0, 15), st.sampled_from([SUPERSCRIPT, SUBSCRIPT]), st.text("x10"))
def test_a_superscript_or_subscript_is_not_the_plain_character(before: str, at: int, script: str, after: str) -> None:
    assert unicodedata.normalize("NFKC", script[at]).replace("\u2212", "-") == PLAIN_SCRIPT[at]
    assert not same_answer(before + script[at] + after, before + PLAIN_SCRIPT[at] + after)


@given(TELLING, TELLING)
def test_two_marks_signs_symbols_or_digits_are_two_answers(one: str, other: str) -> None:
    forms = [unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).casefold()) for char in (one, other)]
    assume(forms[0] != forms[1])
    assume(not any(unicodedata.category(char)[0] in "PZ" or char == "\u2212" for char in "".join(forms)))
    assume(not (IGNORABLE.match(one) or IGNORABLE.match(other)))
    assert not same_answer(f"x {one}", f"x {other}")


@given(st.text(st.sampled_from(" \t\n\u00a0.,;:!?\u3002\u201c\u201d'\"\u200b\ufeff"), max_size=6), TEXT)
def test_an_empty_form_equals_only_the_same_text(empty: str, text: str) -> None:
    assert comparable(empty) == ""
    assert same_answer(empty, text) == (bool(empty.strip()) and empty.strip() == text.strip())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u0926\u093f\u0928", "\u0926\u093e\u0928"),  # Hindi: day, gift
        ("\u0e01\u0e32", "\u0e01\u0e35"),
        ("C#", "C++"),
        ("C", "C++"),
        (".NET", "NET"),
        ("-5", "5"),
        ("\u22125", "5"),
        ("\u274c", "\u2705"),
        ("a < b", "a > b"),
        ("a - b", "a b"),
        ("2*3", "2 3"),
        ("x != y", "x = y"),
        ("1.5", "15"),
        ("1,2", "12"),
        ("12:30", "1230"),
        ("5!", "5"),
        ("50%", "50"),
        ("$5", "5"),
        ("10-20", "1020"),
        ("f(x)", "f x"),
        ("(1, 2]", "[1, 2)"),
        ("and/or", "and or"),
        ("\U0001f44d\U0001f3fb", "\U0001f44d"),
        # superscripts, subscripts, fractions
        ("10\u2075", "105"),
        ("x\u00b2", "x2"),
        ("2\u2075", "25"),
        ("x\u2082", "x2"),
        ("x\u00b9\u2070", "x\u00b90"),
        ("3\u00bd", "31/2"),
        # dashes as signs, a minus between letters
        ("\u2013x", "x"),
        ("\u2013 5", "5"),
        ("\u2013$5", "$5"),
        ("\u2013\u221e", "\u221e"),
        ("a\u2212b", "a b"),
        ("a \u2013 b", "a b"),
        # brackets that group, call or list
        ("(A or B) and C", "A or (B and C)"),
        ("(not a) and b", "not (a and b)"),
        ("(f \u2218 g) h", "f \u2218 (g h)"),
        ("(f g) x", "f (g x)"),
        ("(black cat) food", "black (cat food)"),
        ("\u230ax\u230b", "\u2308x\u2309"),
        ("\u230ax\u230b", "x"),
        ("\u27e8x\u27e9", "x"),
        ("{a: b}", "{a, b}"),
        ("[a, b]", "[a b]"),
        ("f(a, b)", "f(a b)"),
        # negation, factorial
        ("x = !y", "x = y"),
        ("3! + 2", "3 + 2"),
        ("n!", "n"),
        # other signs
        ("5\u066a", "5"),
        ("f'", "f"),
        ('6"', "6"),
        ("3\u00b75", "3 5"),
        ("std::a", "std a"),
        ("__init__", "init"),
        ("SELECT *, COUNT(*)", "SELECT COUNT()"),
    ],
)
def test_other_answers_stay_other_answers(one: str, other: str) -> None:
    assert not same_answer(one, other)
    assert one.endswith("!") or not same_answer(f"It is {one}.", f"It is {other}.")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris.", "paris"),
        ("\u201cParis\u201d!", "Paris"),
        ("**Paris**", "Paris"),
        ("`C#`", "C#"),
        ("the capital (Paris)", "the capital Paris"),
        ("a well-known city", "a well known city"),
        ("don\u2019t", "don't"),
        ("\uff11\uff12", "12"),
        ("\u22125", "-5"),
        ("Stra\u00dfe", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("\u2764\ufe0f", "\u2764"),
        ("soft\u00adware", "software"),
        ("\u5317\u4eac\u3002", "\u5317\u4eac"),
        ("Yes, it is;  really", "yes it is really"),
        ("The answer is (B).", "the answer is B"),
        ("__Paris__", "Paris"),
        ("\u2022 Paris", "Paris"),
        ("Paris \u2013 the capital", "Paris the capital"),
        ("a \u2212 b", "a\u2212b"),
        ("x\u00b2", "x^2"),
        ("10\u207b\u2075", "10^-5"),
        ("'f'", "f"),
        ('He said "5".', "he said 5"),
        ("It is 3!", "it is 3"),
        ("[1,2]", "[1, 2]"),
        ("5\u066a", "5%"),
        ("\u0643\u0640\u062a\u0627\u0628", "\u0643\u062a\u0627\u0628"),  # Arabic: book, lengthened
        ("\u300c\u5317\u4eac\u300d", "\u5317\u4eac"),
    ],
)
def test_the_same_answer_in_other_clothes_is_the_same(one: str, other: str) -> None:
    assert same_answer(one, other)


@pytest.mark.parametrize(
    ("part", "whole", "there"),
    [
        ("Paris", "It is (Paris), surely.", True),
        ("Paris", "Parisian", False),
        ("C", "I write C#.", False),
        ("C#", "I write C#.", True),
        ("1.5", "the total is 15", False),
        ("5", "1.5", False),
        ("\u5317\u4eac", "\u5317\u4eac\u662f\u9996\u90fd", True),
        ("\u0e01", "\u0e01\u0e35", False),
        ("?", "what", False),
        ("?", "what?", True),
        ("Paris", "It is big (Paris, France).", True),
        ("x", "f(x)", False),
        ("5", "10\u2075", False),
        ("A or (B and C)", "It is (A or B) and C", False),
        ("5", "\u2013 5", False),
        ("5", "x = \u2212 5", False),
        ("\u221e", "\u2013\u221e", False),
        ("x", "\u230ax\u230b", False),
    ],
)
def test_a_part_occurs_as_whole_words_and_whole_characters(part: str, whole: str, there: bool) -> None:
    assert occurs(part, whole) is there


SCRIPTS = {
    "latin": "abcdefgh ",
    "hindi": "\u0926\u093f\u0928\u093e\u0915\u0941 ",
    "han": "\u5317\u4eac\u662f\u9996\u90fd\u7684",
    "thai": "\u0e01\u0e35\u0e32\u0e19\u0e21",
    "javanese": "\ua98f\ua9b6\ua995\ua9ab\ua9ba",
    "kana": "\u304b\u3099\u304d\u30c6\u30b9\u30c8",
}


@given(st.data(), st.sampled_from(sorted(SCRIPTS)), st.sampled_from(["NFC", "NFD"]))
def test_an_item_copied_whole_into_a_longer_row_is_found_in_every_script(
    data: st.DataObject, script: str, form: str
) -> None:
    item = data.draw(st.text(st.sampled_from(SCRIPTS[script]), min_size=60, max_size=120))
    words = words_of(item)
    assume(word_count(words) >= 14)
    row = unicodedata.normalize(form, f"Please answer: {item} Thank you!")
    inner = " ".join(words[1:-1]) if script in ("latin", "hindi") else "".join(words[1:-1])
    shared = set(runs(words_of(inner), 10)) & set(runs(words_of(row), 10))
    assert shared or word_count(words_of(inner)) < 10


def test_runs_are_the_n_grams_of_words_and_half_as_many_characters_again() -> None:
    assert runs(["a", "b", "c", "d"], 3) == ["a b c", "b c d"]
    assert runs(["a", "b"], 3) == []
    assert runs(words_of("\u5317\u4eac\u662f\u9996\u90fd"), 2) == [
        "\u5317 \u4eac \u662f \u9996",
        "\u4eac \u662f \u9996 \u90fd",
    ]
    assert word_count(words_of("see \u5317\u4eac")) == 2.0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("if a:\n    b()\n    c()", "if a:\n    b()\nc()", False),
        ("- a\n  - b", "- a\n- b", False),
        ("a:\n\tb", "a:\n    b", False),
        ("if a:\n    b()  \n\n    c( )\n", "if a:\r\n    b()\r\n    c(  )", True),
        ("  a  b \n\nc", "a b\nc", True),
        ("a\nb", "a b", True),
        ("a b", "ab", False),
    ],
)
def test_white_space_tells_rows_apart_only_where_it_indents_a_line(one: str, other: str, same: bool) -> None:
    assert (as_written(one) == as_written(other)) is same


LINES = st.lists(
    st.tuples(st.sampled_from(["", " ", "    ", "\t"]), st.text("ab()", min_size=1)), min_size=1, max_size=5
)


@given(LINES, LINES)
def test_lines_are_the_same_exactly_with_the_same_indentation(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    def form(lines: list[tuple[str, str]]) -> str:
        return as_written("\n".join(f"{indent}{word} " for indent, word in lines))

    first, second = ([("", lines[0][1]), *lines[1:]] for lines in (one, other))
    assert (form(one) == form(other)) is (first == second)


def test_brackets_around_words_make_no_other_words() -> None:
    assert words_of("a (yellow card) that (not inherited) f(x) is (a)") == words_of(
        "a yellow card that not inherited f(x) is a"
    )
    assert words_of("f(x)") == ["f(x)"]


def test_a_lookup_finds_persian_with_and_without_its_joiners() -> None:
    with_joiner = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u0628\u0631\u0648\u0645"
    without = with_joiner.replace("\u200c", "")
    assert whole_form(with_joiner) == whole_form(without)
    assert runs(words_of(with_joiner), 2) == runs(words_of(without), 2)
    assert not same_answer(with_joiner, without)


def test_a_lookup_tells_a_power_from_a_numbered_letter() -> None:
    assert whole_form("Differentiate x\u00b2") != whole_form("Differentiate x2")


PLAINLY = st.lists(
    st.sampled_from(
        ["a", "Is", "don't", "it's", "12", "abc3", "x'y'z", "a.", "12,", "so?", "Well;", "now:", "3.", "\n", " \t", ""]
    ),
    max_size=12,
).map(" ".join)
ROUGH = st.text("ab1A .,?;:'!-(\n\t", max_size=16)
LINES = st.text("ab \t\n\r\x0b\x0c\x1c\x1f\x85\u2028\u00a0e\u0301", max_size=16)


@given(PLAINLY | ROUGH | LINES | TEXT)
def test_the_quick_ways_give_the_forms_that_the_long_ways_give(text: str) -> None:
    quick = comparable(text), as_written(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PLAIN", re.compile("(?!)"))
        patch.setattr(module, "INDENT", re.compile(""))
        assert (comparable(text), as_written(text)) == quick


@given(PLAINLY)
def test_plain_english_takes_the_quick_way(text: str) -> None:
    assert module.PLAIN.fullmatch(text)


@given(st.text("ab1 ()*_`-.,'\"!?:\n", max_size=30))
def test_what_is_not_seen_changes_no_form_of_an_ascii_text(text: str) -> None:
    assert comparable(f"{text}\u00ad") == comparable(text)
    assert words_of(f"\u200b{text}") == words_of(text)
