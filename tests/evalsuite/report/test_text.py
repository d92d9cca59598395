import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.report import text


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_no_character_that_hides_or_reverses_is_left(value: str) -> None:
    shown = text.visible(value)
    left = {unicodedata.category(char) for char in shown if char not in "\n\t"}
    assert not left & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode("utf-8")
    assert text.visible(shown) == shown


def test_ordinary_writing_stays_as_it_is() -> None:
    for value in ("Grüße, 你好", "שלום", "line\n\tindent", "π ≈ 3.14", ""):
        assert text.visible(value) == value


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=5000))
def test_a_long_text_keeps_its_ends_and_counts_the_rest(value: str) -> None:
    shown = text.clip(value, 100)
    if len(value) <= 100:
        assert shown == value
    else:
        assert shown.startswith(value[:50])
        assert shown.endswith(value[-50:])
        assert f"{len(value) - 100:,} characters left out" in shown


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (text.number(None), "\N{EN DASH}"),
        (text.number(0.8804), "0.880"),
        (text.number(0.00012), "0.00012"),
        (text.number(0.0), "0.000"),
        (text.number(39120.0), "39,120"),
        (text.signed(-0.02), "\N{MINUS SIGN}0.020"),
        (text.signed(0.02), "+0.020"),
        (text.signed(0.0), "0.000"),
        (text.interval(None, 0.1), "[\N{MINUS SIGN}∞, +0.100]"),
        (text.interval(0.1, None, with_sign=False), "[0.100, ∞]"),
        (text.duration(1.25), "1.2 s"),
        (text.duration(600), "10 min"),
        (text.duration(36000), "10.0 h"),
        (text.size(512), "512 B"),
        (text.size(3 * 2**30), "3.00 GiB"),
        (text.money(0.0478, "USD"), "0.048 USD"),
        (text.money(12.5, "EUR"), "12.50 EUR"),
        (text.named_value("weights_bytes", 2048), "2.0 KiB"),
        (text.named_value("dev_fraction", 0.1), "10.0%"),
        (text.named_value("rows", 1600), "1,600"),
    ],
)
def test_numbers_read_as_a_person_would_write_them(shown: str, expected: str) -> None:
    assert shown == expected
