"""The demo's general rows."""

import random
import re

import pytest

from demo.general import LISTS, SENTENCES, exchange


@pytest.mark.parametrize("seed", range(300))
def test_an_answer_meets_the_demand_of_its_request(seed: int) -> None:
    request, answer = exchange(random.Random(seed))  # noqa: S311  reproducible text, nothing secret
    words = re.findall(r"[a-z-]+", answer.lower())
    if found := re.search(r"(?:mention|put) the word (\w+)", request):
        assert found[1] in words
    if found := re.search(r"leave out the word (\w+)", request):
        assert found[1] not in words
    if found := re.search(r"last words must be: (.+)", request):
        assert answer.endswith(found[1])
    if found := re.search(r"Give (\d) markdown", request):
        assert re.findall(r"^\* (\w+)$", answer, re.MULTILINE) == list(LISTS[request.split()[1]][: int(found[1])])
    assert "commas" not in request or "," not in answer
    assert "small letters" not in request or answer == answer.lower()
    assert "all in capitals" not in request or answer == answer.upper()
    assert "quotation marks" not in request or re.fullmatch(r'"[^"]+"', answer)
    assert "<<" not in request or re.fullmatch(r"<<[^<>]+>>", answer)
    assert "no more than 20" not in request or len(words) <= 20
    assert "at least 8" not in request or len(words) >= 8


def test_every_topic_has_its_word_in_its_sentence_once_and_no_comma() -> None:
    for word, sentence in SENTENCES.values():
        assert len(re.findall(rf"\b{word}\b", sentence)) == 1
        assert "," not in sentence
