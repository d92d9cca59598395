"""Stand-ins: the same for the same value, key and conversation; of the same shape; nobody's."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from tasks.prepare.personal.numbers import is_iban, luhn
from tasks.prepare.personal.surrogates import MAKERS, Surrogates, read_key

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
VALUES = {
    "CREDIT_CARD": "4242 4242-42424242",
    "EMAIL_ADDRESS": "jane.doe@corp.test",
    "IBAN_CODE": "DE89 3704 0044 0532 0130 00",
    "IP_ADDRESS": "10.1.2.3",
    "LOCATION": "Uppsala",
    "MAC_ADDRESS": "3c:22:fb:11:22:33",
    "ORGANIZATION": "Contoso",
    "PERSON": "Jane Doe",
    "PHONE_NUMBER": "+46 18 471 00 00",
    "URL": "https://corp.test/jane",
    "US_SSN": "219-09-9998",
}


def test_every_kind_that_can_be_pseudonymised_is_tried_here() -> None:
    assert VALUES.keys() == MAKERS.keys()


@pytest.mark.parametrize("entity", MAKERS)
def test_a_stand_in_depends_on_the_value_the_conversation_and_the_key_alone(entity: str) -> None:
    value = VALUES[entity]
    one = Surrogates(KEY, "row 1").of(entity, value)
    assert one == Surrogates(KEY, "row 1").of(entity, value)
    assert one != value
    others = [Surrogates(key, scope).of(entity, value) for key in (KEY, OTHER_KEY) for scope in map(str, range(20))]
    assert len(set(others)) > 10


@given(st.sampled_from(sorted(MAKERS)), st.integers())
@example("IBAN_CODE", 940618)  # 00 in the place of its check digits leaves the remainder of 97
def test_a_stand_in_is_nobodys(entity: str, number: int) -> None:
    made = Surrogates(KEY, str(number)).of(entity, VALUES[entity])
    digits = "".join(sign for sign in made if sign.isdigit())
    nobodys = {
        "CREDIT_CARD": lambda: not luhn(digits) and made[4] == " " and made[9] == "-" and made.startswith("42"),
        "EMAIL_ADDRESS": lambda: made.rpartition("@")[2] in ("example.com", "example.net", "example.org"),
        "IBAN_CODE": lambda: not is_iban(made.replace(" ", "")) and made[:4] == "DE00",
        "IP_ADDRESS": lambda: not ipaddress.ip_address(made).is_global,
        "PHONE_NUMBER": lambda: "55501" in digits and made.count(" ") == 4 and made[0] == "+",
        "URL": lambda: made.startswith("https://www.example.com/"),
        "US_SSN": lambda: digits.startswith("666") and made.count("-") == 2,
    }
    assert nobodys.get(entity, lambda: made.split()[0].istitle() or ":" in made)()


def test_an_address_of_version_6_stays_one() -> None:
    made = Surrogates(KEY, "a").of("IP_ADDRESS", "fe80::1")
    assert ipaddress.ip_address(made) in ipaddress.ip_network("2001:db8::/32")


def test_a_person_is_the_same_by_every_part_of_the_name() -> None:
    own = Surrogates(KEY, "a")
    first, last = own.of("PERSON", "Jane Doe").split()
    assert own.of("PERSON", "jane") == first.lower()
    assert own.of("PERSON", "DOE") == last.upper()
    assert own.of("PERSON", "Doe, Jane") == f"{last}, {first}"
    assert own.of("PERSON", "J. van der Doe").split()[1:3] == ["van", "der"]
    assert len(own.of("PERSON", "J. Doe").split()[0]) == 2


@given(st.lists(st.from_regex(r"[A-Z][a-z]{3,8}", fullmatch=True), min_size=2, max_size=25, unique_by=str.casefold))
def test_two_people_of_a_conversation_stay_two(names: list[str]) -> None:
    own = Surrogates(KEY, "a")
    made = [own.of("PERSON", name) for name in names]
    assert len(set(made)) == len(names)
    assert all(one.casefold() != name.casefold() for one, name in zip(made, names, strict=True))


def test_for_all_data_a_stand_in_does_not_depend_on_what_came_before() -> None:
    of_all = Surrogates(KEY, "")
    for at in range(50):
        of_all.of("PERSON", f"Name{at}")
    assert of_all.of("PERSON", "Jane") == Surrogates(KEY, "").of("PERSON", "Jane")


def test_a_key_that_could_be_guessed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pseudonyms.key"
    with pytest.raises(UsageError, match=r"no file pseudonyms\.key .*openssl rand -hex 32"):
        read_key(path)
    path.write_text("secret\n")
    with pytest.raises(UsageError, match="has 6 characters, at least 32") as error:
        read_key(path)
    assert "secret" not in str(error.value)
    path.write_text("0123456789abcdef" * 2 + "\n")
    assert read_key(path) == b"0123456789abcdef" * 2
