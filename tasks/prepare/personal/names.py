"""Names of files and ids of rows, which go into reports and messages: personal data in them is found by its form."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from evalsuite.core.errors import UsageError
from tasks.prepare.personal.entities import SECRETS
from tasks.prepare.personal.finding import silenced
from tasks.prepare.personal.reading import Found, as_read, settled

IN_NAMES = ("CREDIT_CARD", "EMAIL_ADDRESS", "IBAN_CODE", "PHONE_NUMBER", "US_SSN", *SECRETS)
"""What is looked for there: not the names of people, which only a model can guess, nor what other numbers look like."""
SURE = 0.5
SUSPECT = re.compile(
    r"@|\uff20|(?:\d\W?){9}|[A-Za-z]{2}\d{2}[ -]?\w{4}|sk-|[a-z]{2,4}[_-]\w{10}|AIza|eyJ|A[SKB3][A-Z0-9]{10}"
)
"""Only what looks like this is worth the seconds that Presidio takes to start."""


def masked(name: str) -> str:
    """A name with the kind of what is personal in its place."""
    if not SUSPECT.search(name):
        return name
    read = as_read(name)
    parts, at = [], 0
    with silenced():
        found = [one for each in _by_form() for one in each.analyze(read.text, [], None) or ()]
    results = [Found(one.entity_type, one.start, one.end, one.score) for one in found]
    for one in settled([read.as_written(one) for one in results if one.score >= SURE], name):
        parts += [name[at : one.start], f"<{one.entity}>"]
        at = one.end
    return "".join([*parts, name[at:]])


def holds_personal_data(name: str) -> bool:
    """Whether a name or an id holds some."""
    return masked(name) != name


def check_file_names(names: Iterable[str]) -> None:
    """Refuse files whose names would carry personal data into reports and ids of rows.

    Raises:
        UsageError: Says which entry of ``prepare.sources`` it is, by the shape of its name alone.
    """
    for number, name in enumerate(names, 1):
        shape = masked(name)
        if shape != name:
            raise UsageError(
                f"prepare.sources: the name of entry {number} holds personal data ({shape}), and names of files go "
                "into reports and ids of rows; rename the file, then change prepare.sources"
            )


@cache
def _by_form() -> list[Any]:
    from tasks.prepare.personal.recognisers import recognisers

    return recognisers(IN_NAMES, "en")
