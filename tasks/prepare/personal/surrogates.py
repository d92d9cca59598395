"""Stand-ins of the same shape that are nobody's, chosen by a keyed hash, so that without the key none leads back.

HMAC-SHA-256 of the entity, the conversation and the value (ignoring case and white space) draws the stand-in. It cannot
be computed backwards, with the key or without it: who has the key can only try values and see which stand-in they get.
Many values share a stand-in, and no table of them is kept.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from evalsuite.core.errors import UsageError

KEY_CHARACTERS = 32

NAMES = tuple(
    """
    Avery Bailey Bennett Blake Cameron Carter Casey Clark Cole Craig Curtis Dale Dean Douglas Drew Elliott Ellis Emerson
    Finley Floyd Francis Gordon Graham Grant Gray Griffin Harley Harper Hunter Jordan Keith Kelly Kendall Kennedy Kerry
    Lane Lee Leslie Lewis Logan Marshall Martin Mason Morgan Nelson Noel Owen Palmer Parker Paul Perry Preston Quinn Ray
    Reese Reid Riley Robin Rowan Russell Sawyer Scott Shannon Shelby Sidney Spencer Stanley Sterling Stewart Sullivan
    Taylor Terry Thomas Todd Tyler Vernon Vincent Wallace Warren Wayne Wesley Whitney
    """.split()  # noqa: SIM905  a list of words reads better so
)
"""Names that are first names and family names alike, so that a name stays the same in either place."""
JOINING = frozenset(
    """
    al bin da de del della den der di do du e el la le ten ter van von y zu
    """.split()  # noqa: SIM905  a list of words reads better so
)
"""Words between names."""
PLACES = tuple(
    """
    Alderford Ashmere Birchwick Bramfield Castlebrook Cloverdale Dunmere Eastmoor Elmhurst Fairhaven Fernley Glenwick
    Greenford Hartmoor Hazelton Inverleigh Kingsmere Lakewell Linfield Maplewick Northmere Oakhaven Oldbridge Penwick
    Redmoor Riverton Rosefield Sandhurst Silverbrook Southwell Stonehaven Thornbury Underhill Westmere Whitford
    Willowdale Windmoor Wolfdale Woodmere Yarrowfield
    """.split()  # noqa: SIM905  a list of words reads better so
)
FIRMS = tuple(
    """
    Acme Apex Arbor Aster Atlas Beacon Birch Bluebird Borealis Brightwater Cedar Cobalt Comet Copper Crescent Delta
    Ember Falcon Garnet Granite Harbor Heron Indigo Juniper Keystone Lantern Larch Maple Meridian Northwind Opal Orchard
    Pioneer Quartz Raven Sable Summit Tamarack Umber Vertex Willow Zenith
    """.split()  # noqa: SIM905  a list of words reads better so
)


@dataclass
class Surrogates:
    """The stand-ins of one conversation, or of all data."""

    key: bytes
    scope: str
    """What the stand-ins are the same in: the conversation's id; empty for all data."""
    _given: dict[tuple[str, str], str] = field(default_factory=dict)
    _taken: set[tuple[str, str]] = field(default_factory=set)

    def of(self, entity: str, value: str) -> str:
        """What stands for a value; in one conversation two values share it only when nothing else is left."""
        if entity == "PERSON":
            return re.sub(r"[^\W\d_]+", lambda word: self._word(word[0]), value)
        return self._one(entity, value)

    def _word(self, word: str) -> str:
        """A part of a name in its own case; an initial stays one letter, and what joins names stays."""
        if word in JOINING:
            return word
        name = self._one("PERSON", word)
        name = name[0] if len(word) == 1 else name
        return name.upper() if word.isupper() else name.lower() if word.islower() else name

    def _one(self, entity: str, value: str) -> str:
        known = (entity, " ".join(value.casefold().split()))
        if known not in self._given:
            for attempt in range(100):
                made = MAKERS[entity](value, self._random(*known, attempt))
                if made.casefold() != known[1] and (entity, made) not in self._taken:
                    break
            self._given[known] = made
            if self.scope:
                self._taken.add((entity, made))
        return self._given[known]

    def _random(self, entity: str, value: str, attempt: int) -> Random:
        message = "\x1f".join((entity, self.scope, value, str(attempt)))
        return Random(hmac.digest(self.key, message.encode("utf-8", "surrogatepass"), hashlib.sha256))  # noqa: S311


def read_key(path: Path) -> bytes:
    """The key of pseudonyms.

    Raises:
        UsageError: There is none, or it is too short to withstand guessing.
    """
    make = f"make one: `openssl rand -hex 32 > {path.name}` there, and keep it out of git"
    if not path.is_file():
        raise UsageError(f"personal_data.key_file: no file {path.name} at {path.parent}; {make}")
    key = path.read_bytes().strip()
    if len(key) < KEY_CHARACTERS:
        raise UsageError(
            f"personal_data.key_file: {path.name} has {len(key)} characters, at least {KEY_CHARACTERS} that were drawn "
            f"at random are needed; {make}"
        )
    return key


def _shaped(value: str, random: Random) -> str:
    """Other digits and letters in the places of those there are."""
    return "".join(
        random.choice("0123456789")
        if sign.isdigit()
        else random.choice("ABCDEFGHJKLMNPQRSTUVWXYZ" if sign.isupper() else "abcdefghjkmnpqrstuvwxyz")
        if sign.isalpha()
        else sign
        for sign in value
    )


def _with_digits(value: str, digits: str) -> str:
    """A value with these digits in the places of its own."""
    left = iter(digits)
    return "".join(next(left) if sign.isdigit() else sign for sign in value)


def _phone(value: str, random: Random) -> str:
    """Ends as numbers of films do: 555-0100 to 555-0199, which North America gives to nobody."""
    count = sum(sign.isdigit() for sign in value)
    first = "".join(str(random.randint(2, 9)) for _ in range(count))
    return _with_digits(value, (first + f"55501{random.randint(0, 99):02}")[-count:])


def _card(value: str, random: Random) -> str:
    """Of the same issuer, with a check digit that is wrong, so that it is no card."""
    from tasks.prepare.personal.numbers import luhn

    digits = [sign for sign in value if sign.isdigit()]
    digits[2:] = [str(random.randint(0, 9)) for _ in digits[2:]]
    if luhn("".join(digits)):
        digits[-1] = str((int(digits[-1]) + 1) % 10)
    return _with_digits(value, "".join(digits))


def _iban(value: str, random: Random) -> str:
    """Of the same country, with the check digits 00, which no account has."""
    return value[:2] + "00" + _shaped(value[4:], random)


def _ip(value: str, random: Random) -> str:
    """Of the ranges for documentation (RFC 5737, RFC 3849)."""
    if ":" in value:
        return f"2001:db8::{random.randrange(1, 1 << 16):x}:{random.randrange(1, 1 << 16):x}"
    return f"{random.choice(('192.0.2', '198.51.100', '203.0.113'))}.{random.randrange(1, 255)}"


def _email(value: str, random: Random) -> str:
    """At a domain for examples (RFC 2606)."""
    first, last = random.choice(NAMES), random.choice(NAMES)
    return f"{first}.{last}{random.randint(1, 999)}@example.{random.choice(('com', 'net', 'org'))}".lower()


def _mac(value: str, random: Random) -> str:
    """Of the range for documentation (RFC 7042)."""
    mark = "-" if "-" in value else ":"
    return mark.join(("00", "00", "5E", "00", "53", f"{random.randrange(256):02X}"))


def _ssn(value: str, random: Random) -> str:
    """Of the area 666, which was never issued."""
    return _with_digits(value, f"666{random.randint(10, 99)}{random.randint(1000, 9999)}")


MAKERS: dict[str, Callable[[str, Random], str]] = {
    "CREDIT_CARD": _card,
    "EMAIL_ADDRESS": _email,
    "IBAN_CODE": _iban,
    "IP_ADDRESS": _ip,
    "LOCATION": lambda _, random: random.choice(PLACES),
    "MAC_ADDRESS": _mac,
    "ORGANIZATION": lambda _, random: random.choice(FIRMS),
    "PERSON": lambda _, random: random.choice(NAMES),
    "PHONE_NUMBER": _phone,
    "URL": lambda _, random: f"https://www.example.com/{random.randrange(1 << 32):08x}",
    "US_SSN": _ssn,
}
"""Entities that can be pseudonymised -> what makes a stand-in."""
