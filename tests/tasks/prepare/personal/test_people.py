"""Who was found once in a conversation."""

from tasks.prepare.personal.people import named_again
from tasks.prepare.personal.reading import Found

ANNA = Found("PERSON", 0, 12, 0.9)
FIRST = "Anna Grünert wrote."


def test_each_part_of_a_name_is_found_again_in_every_text() -> None:
    second = "Dear Anna, is Grünert right? Annabel and ANNA are not."
    again = named_again({FIRST: [ANNA], second: []})
    assert again == {second: [Found("PERSON", 5, 9, 0.85), Found("PERSON", 14, 21, 0.85)]}


def test_what_is_found_already_and_placeholders_are_left() -> None:
    second = "Anna <ANNA> {{Anna}} [ANNA]"
    assert named_again({FIRST: [ANNA], second: [Found("ORGANIZATION", 0, 4, 0.85)]}) == {}


def test_a_word_of_the_row_and_a_guess_that_is_not_sure_are_no_name() -> None:
    text = "Will Ng and Will said that he will."
    assert named_again({text: [Found("PERSON", 0, 7, 0.9)]}) == {}
    assert named_again({FIRST: [ANNA._replace(score=0.5)], "Anna": []}) == {}
    assert named_again({FIRST: [ANNA._replace(entity="LOCATION")], "Anna": []}) == {}
