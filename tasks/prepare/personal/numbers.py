"""Cards, bank accounts and phone numbers: found as runs of groups, checked by their digits.

Recognisers in Presidio's form. Its own take a number of the wrong length, or one that a word follows, for none.
Imported where they are used: Presidio takes seconds.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import phonenumbers
import regex
from presidio_analyzer import AnalysisExplanation, LocalRecognizer, RecognizerResult
from presidio_analyzer.predefined_recognizers.generic.iban_patterns import regex_per_country

Span = tuple[int, int]

SHORTEST_ALONE = 8
"""Digits: shorter phone numbers need a word beside them."""
MOST_DIGITS = 15
"""Of a phone number (ITU-T E.164)."""
MOST_WRITTEN = ("US", "GB", "DE", "FR", "IN")
"""Countries whose numbers are looked for among many groups of digits, since trying all would take long in tables."""

ISSUERS: tuple[tuple[str, range], ...] = (
    ("4", range(13, 20)),  # Visa
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", range(16, 17)),  # Mastercard
    ("3[47]", range(15, 16)),  # American Express
    ("30[0-5]|3095|36|38|39", range(14, 20)),  # Diners Club
    ("6011|64[4-9]|65|622", range(16, 20)),  # Discover, UnionPay
    ("352[89]|35[3-8]", range(16, 20)),  # JCB
    ("1800|2131", range(15, 16)),  # JCB
    ("220[0-4]", range(16, 20)),  # Mir
    ("50|5[6-9]|6", range(12, 20)),  # Maestro
    ("62|81", range(16, 20)),  # UnionPay
)
"""First digits and numbers of digits (ISO/IEC 7812; en.wikipedia.org/wiki/Payment_card_number)."""

LONGEST_IBAN, SHORTEST_IBAN = 34, 15

REGIONS = (
    *("US", "CA", "MX", "BR", "AR", "CL", "CO"),
    *("GB", "IE", "DE", "AT", "CH", "FR", "BE", "NL", "LU", "ES", "PT", "IT", "SE", "NO", "DK", "FI", "IS"),
    *("PL", "CZ", "SK", "HU", "SI", "HR", "RO", "BG", "GR", "CY", "EE", "LV", "LT", "UA", "TR", "IL"),
    *("AU", "NZ", "ZA", "NG", "KE", "EG", "AE", "IN", "PK", "SG", "MY", "PH", "ID", "TH", "JP", "KR", "CN", "HK"),
)
"""Countries whose way of writing numbers without their country code is known here."""


def luhn(digits: str) -> bool:
    """Whether the last digit is right (ISO/IEC 7812-1, annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(int(digit) for digit in digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_card(digits: str) -> bool:
    """Whether an issuer gives out cards of these digits."""
    return luhn(digits) and any(len(digits) in lengths and regex.match(first, digits) for first, lengths in ISSUERS)


def may_be_card(digits: str) -> bool:
    """Whether they are like a card's, of an issuer that is not known here."""
    return len(digits) in (15, 16) and digits[0] in "23456" and luhn(digits)


def is_iban(compact: str) -> bool:
    """Whether check digits (ISO 7064, modulo 97) and the form of the country are right.

    They are 02 to 98: 00, 01 and 99 leave the same remainder as 97, 98 and 02, and are never given (ISO 13616).
    """
    form = regex_per_country.get(compact[:2])
    if form is None or not regex.fullmatch(form, compact) or compact[2:4] in ("00", "01", "99"):
        return False
    return int("".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])) % 97 == 1


class RunRecognizer(LocalRecognizer):  # type: ignore[misc]
    """Looks at each run of signs that may hold what it recognises, and takes the parts that pass its check."""

    entity: ClassVar[str]
    run: ClassVar[Any]
    words: ClassVar[list[str]]
    """Words beside it that make it surer."""

    def __init__(self, language: str) -> None:
        """Recognise in texts of this language."""
        super().__init__(
            supported_entities=[self.entity], name=type(self).__name__, supported_language=language, context=self.words
        )

    def load(self) -> None:
        """Nothing to load."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[Any]:
        """Find it in a text."""
        return [
            RecognizerResult(
                self.entity,
                start,
                end,
                score,
                AnalysisExplanation(recognizer=self.name, original_score=score),
                {RecognizerResult.RECOGNIZER_NAME_KEY: self.name, RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id},
            )
            for match in self.run.finditer(text)
            for (start, end), score in self.parts(text, *match.span())
        ]

    @abstractmethod
    def parts(self, text: str, start: int, end: int) -> Iterator[tuple[Span, float]]:
        """What of a run is one, and how sure that is (0..1)."""


class CardRecognizer(RunRecognizer):
    """Card numbers: groups whose digits an issuer gives out, and whose last digit is right."""

    entity = "CREDIT_CARD"
    run = regex.compile(r"(?<![^\W_])(?<!\.)\d(?:[ -]?\d){11,200}+(?![^\W_])")
    words: ClassVar = [
        *(
            "card",
            "cards",
            "cc",
            "credit",
            "debit",
            "visa",
            "mastercard",
            "maestro",
            "amex",
            "discover",
            "jcb",
            "diners",
        )
    ]

    def parts(self, text: str, start: int, end: int) -> Iterator[tuple[Span, float]]:
        """The longest card from each group on; 0.3 for what a word beside it must explain."""
        groups = [(start + each.start(), start + each.end()) for each in regex.finditer(r"\d+", text[start:end])]
        first = 0
        while first < len(groups):
            cards = list(self._cards(text, groups, first))
            if not cards:
                first += 1
                continue
            score, last = max(cards)
            yield (groups[first][0], groups[last][1]), score
            first = last + 1

    @staticmethod
    def _cards(text: str, groups: list[Span], first: int) -> Iterator[tuple[float, int]]:
        digits = ""
        for at in range(first, len(groups)):
            size = groups[at][1] - groups[at][0]
            digits += text[slice(*groups[at])]
            if len(digits) > 19:
                return
            if is_card(digits) or may_be_card(digits):
                yield (1.0 if is_card(digits) else 0.3), at
            if size < 3:  # no card has so short a group before its end
                return


class IbanRecognizer(RunRecognizer):
    """Bank accounts, in capitals or not, in groups or not."""

    entity = "IBAN_CODE"
    run = regex.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}+")
    words: ClassVar = ["iban", "bank", "account", "transfer", "transaction"]

    def parts(self, text: str, start: int, end: int) -> Iterator[tuple[Span, float]]:
        """The longest that begins here and passes."""
        places = [at for at in range(start, end) if text[at].isalnum()]
        for size in range(min(LONGEST_IBAN, len(places)), SHORTEST_IBAN - 1, -1):
            after = places[size - 1] + 1
            compact = "".join(text[at] for at in places[:size]).upper()
            if not text[after : after + 1].isalnum() and is_iban(compact):
                yield (start, after), 1.0
                return


class PhoneRecognizer(RunRecognizer):
    """Phone numbers, by the numbering plans of Google's libphonenumber."""

    entity = "PHONE_NUMBER"
    run = regex.compile(
        r"(?<![\w#])(?<!\d[.,:/+-])(?:\+|00)?[ ]?\(?\d(?:[ ./()-]{0,3}\d){5,24}+(?:[ ]?(?:x|ext\.?)[ ]?\d{1,6})?"
        r"(?!\w|[.,:/-]\d|%)",
    )
    words: ClassVar = [
        *("phone", "phones", "telephone", "tel", "mobile", "cell", "cellphone", "landline", "hotline", "desk"),
        *("call", "calls", "called", "calling", "dial", "dialed", "ring", "fax", "sms", "whatsapp", "reach", "contact"),
    ]
    not_phone = regex.compile(
        r"(?:19|20)\d\d[-./ ](?:0?\d|1[0-2])[-./ ](?:[0-2]?\d|3[01])(?:\D.*)?"  # a date, and what follows it
        r"|(?:[0-2]?\d|3[01])[-./ ](?:[0-2]?\d|3[01])[-./ ](?:19|20)\d\d(?:\D.*)?"
        r"|\d{1,3}(?:\.\d{1,3}){3}"  # an address of the internet, or a version
        r"|\d+\.\d+"
        r"|(?:19|20)\d\d ?- ?(?:19|20)\d\d"
    )

    def parts(self, text: str, start: int, end: int) -> Iterator[tuple[Span, float]]:
        """The whole run, or, where it has too many digits for one number, each number that some of its groups are."""
        written = text[start:end]
        if self.not_phone.fullmatch(written):
            return
        if _count(regex.split("[xe]", written)[0]) <= MOST_DIGITS:
            yield (start + len(written) - len(written.lstrip()), end), self._score(written)
            return
        groups = [(start + each.start(), start + each.end()) for each in regex.finditer(r"[^ ]+", written)]
        first = 0
        while first < len(groups):
            last = self._last(text, groups, first)
            if last is not None:
                yield (groups[first][0], groups[last][1]), 0.4
            first = first + 1 if last is None else last + 1

    @staticmethod
    def _last(text: str, groups: list[Span], first: int) -> int | None:
        """Where a number ends that begins with a group."""
        for at in range(first, len(groups)):
            number = text[groups[first][0] : groups[at][1]]
            if _count(number) > MOST_DIGITS:
                break
            regions = (None,) if number[0] == "+" else MOST_WRITTEN
            if _count(number) >= SHORTEST_ALONE and any(_is_valid(number, region) for region in regions):
                return at
        return None

    @staticmethod
    def _score(written: str) -> float:
        """0.1 for what a word beside it must explain; 0.4 for what some country writes so."""
        number = regex.split("[xe]", written)[0].strip()
        count = _count(number)
        if number.startswith(("+", "00")):
            digits = "+" + "".join(sign for sign in number if sign.isdigit()).removeprefix("00")
            return 0.75 if _is_valid(digits, None) else 0.4 if number.startswith("+") and count >= 8 else 0.1
        valid = count >= SHORTEST_ALONE and any(_is_valid(number, region) for region in REGIONS)
        return (0.3 if number.isdigit() else 0.4) if valid else 0.1


def _count(number: str) -> int:
    return sum(sign.isdigit() for sign in number)


def _is_valid(number: str, region: str | None) -> bool:
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number, region)))
    except phonenumbers.NumberParseException:
        return False
