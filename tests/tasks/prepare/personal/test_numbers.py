"""Cards, bank accounts and phone numbers, against numbers that others published."""

from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.prepare.personal.numbers import (
    REGIONS,
    SHORTEST_ALONE,
    CardRecognizer,
    IbanRecognizer,
    PhoneRecognizer,
    is_card,
    is_iban,
    luhn,
)

CARDS, IBANS, PHONES = CardRecognizer("en"), IbanRecognizer("en"), PhoneRecognizer("en")

TEST_CARDS = (
    *("4242424242424242", "4000056655665556", "5555555555554444", "2223003122003222", "5200828282828210"),
    *("378282246310005", "371449635398431", "6011111111111117", "6011000990139424", "3056930009020004"),
    *("36227206271667", "3566002020360505", "6200000000000005", "6205500000000000004"),
)
"""docs.stripe.com/testing"""
REGISTRY = (
    *("AL47 2121 1009 0000 0002 3569 8741", "AT61 1904 3002 3457 3201", "BE68 5390 0754 7034"),
    *("BR18 0036 0305 0000 1000 9795 493C 1", "CH93 0076 2011 6238 5295 7", "DE89 3704 0044 0532 0130 00"),
    *("FR14 2004 1010 0505 0001 3M02 606", "GB29 NWBK 6016 1331 9268 19", "NL91 ABNA 0417 1643 00"),
    *("NO93 8601 1117 947", "MT84 MALT 0110 0001 2345 MTLC AST0 01S", "SA03 8000 0000 6080 1016 7519"),
)
"""Examples of SWIFT's IBAN registry."""


def found(recogniser: Any, text: str) -> list[str]:
    return [text[one.start : one.end] for one in recogniser.analyze(text, [], None) if one.score >= 0.4]


@pytest.mark.parametrize("digits", TEST_CARDS)
def test_a_published_test_card_is_found_however_it_is_grouped(digits: str) -> None:
    in_fours = " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))
    for written in (digits, in_fours, in_fours.replace(" ", "-")):
        assert found(CARDS, f"Card {written}, please.") == [written]


@given(st.sampled_from(TEST_CARDS), st.data())
def test_one_wrong_digit_is_no_card(digits: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(digits) - 1))
    other = data.draw(st.sampled_from([sign for sign in "0123456789" if sign != digits[at]]))
    wrong = digits[:at] + other + digits[at + 1 :]
    assert not luhn(wrong)
    assert found(CARDS, wrong) == []


def test_what_follows_a_card_does_not_hide_it() -> None:
    assert found(CARDS, "4242 4242 4242 4242 12/27 123") == ["4242 4242 4242 4242"]
    assert found(CARDS, "378282246310005 4242424242424242") == ["378282246310005", "4242424242424242"]


def test_a_word_that_follows_an_account_does_not_hide_it() -> None:
    assert found(IBANS, "from be68 5390 0754 7034 that I have") == ["be68 5390 0754 7034"]
    assert found(IBANS, "AT611904300234573201 will be") == ["AT611904300234573201"]


def test_numbers_that_no_issuer_gives_out_are_none_though_their_last_digit_is_right() -> None:
    assert luhn("79927398713")  # the example of Luhn's patent as Wikipedia has it
    assert not is_card("79927398713")
    assert luhn("9999999999999995")
    assert found(CARDS, "9999999999999995") == []


@pytest.mark.parametrize("written", REGISTRY)
def test_an_account_of_the_registry_is_found_in_every_form(written: str) -> None:
    for form in (written, written.replace(" ", ""), written.lower(), written.replace(" ", "").lower()):
        assert found(IBANS, f"Pay to {form} until Friday") == [form]


@given(st.sampled_from(REGISTRY), st.data())
def test_two_neighbours_in_the_wrong_order_are_no_account(written: str, data: st.DataObject) -> None:
    compact = written.replace(" ", "")
    places = [at for at in range(len(compact) - 1) if compact[at] != compact[at + 1]]
    at = data.draw(st.sampled_from(places))
    assert not is_iban(compact[:at] + compact[at + 1] + compact[at] + compact[at + 2 :])


@pytest.mark.parametrize("region", REGIONS)
def test_the_example_of_every_country_is_found_in_both_forms(region: str) -> None:
    number = phonenumbers.example_number(region)
    assert number is not None
    for form in (phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.NATIONAL):
        written = phonenumbers.format_number(number, form)
        results = PHONES.analyze(f"It is {written}.", [], None)
        assert [(one.start, one.end) for one in results] == [(6, 6 + len(written))]
        short = sum(sign.isdigit() for sign in written) < SHORTEST_ALONE
        least = 0.75 if written.startswith("+") else 0.1 if short else 0.3 if written.isdigit() else 0.4
        assert results[0].score >= least


@pytest.mark.parametrize(
    "written",
    [
        "2024-11-03",
        "03.11.2024",
        "2024-11-03 11:34:35",
        "192.168.10.12",
        "3.14159265",
        "12,345,678",
        "1999-2004",
        "100000%",
    ],
)
def test_dates_and_quantities_are_no_phone_numbers(written: str) -> None:
    assert found(PHONES, f"It was {written} then") == []


def test_two_numbers_in_a_row_are_two() -> None:
    assert len(found(PHONES, "(212) 555-0143 (646) 555-0187")) == 2
