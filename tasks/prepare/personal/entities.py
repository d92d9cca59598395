"""Kinds of personal data by the names that the field uses (Presidio's), and what is done with each."""

from enum import StrEnum
from typing import NamedTuple


class Treatment(StrEnum):
    """What is done with the personal data of one kind."""

    REDACT = "redact"
    """The name of its kind stands in its place: ``<EMAIL_ADDRESS>``."""
    PSEUDONYMISE = "pseudonymise"
    """Something of the same shape that is nobody's stands in its place."""
    DROP = "drop"
    """The row is dropped."""
    REPORT = "report"
    """It is counted and stays."""
    IGNORE = "ignore"
    """It is not looked for."""

    @property
    def hides(self) -> bool:
        """Whether something else stands in its place afterwards."""
        return self in (Treatment.REDACT, Treatment.PSEUDONYMISE)


class Entity(NamedTuple):
    """One kind of personal data."""

    how: str
    """How it is recognised."""
    treatment: Treatment = Treatment.REDACT
    """What is done with it where ``entities`` does not say."""


CHECKSUM = "its check digits"
WITH_CONTEXT = "its check digits, and a word beside it that says what it is"
FORM = "its form"
MODEL = "the model's guess"

MODEL_ENTITIES = {
    "PERSON": Entity(f"{MODEL}, or a title or an introduction before it"),
    "LOCATION": Entity(MODEL, Treatment.REPORT),
    "NRP": Entity(f"nationality, religion, politics: {MODEL}", Treatment.REPORT),
    "ORGANIZATION": Entity(MODEL, Treatment.REPORT),
    "DATE_TIME": Entity(MODEL, Treatment.IGNORE),
}
"""What the language model finds."""

SECRETS = {
    "ANTHROPIC_API_KEY": Entity(FORM),
    "AWS_ACCESS_KEY_ID": Entity(FORM),
    "AWS_SECRET_ACCESS_KEY": Entity(f"{FORM}, and a word beside it that says what it is"),
    "GITHUB_TOKEN": Entity(FORM),
    "GOOGLE_API_KEY": Entity(FORM),
    "HF_TOKEN": Entity(FORM),
    "JWT": Entity(f"{FORM}, and a head that is JSON with alg"),
    "OPENAI_API_KEY": Entity(FORM),
    "PRIVATE_KEY": Entity(f"{FORM}: a PEM or PGP block, or its beginning"),
    "SLACK_TOKEN": Entity(FORM),
    "STRIPE_API_KEY": Entity(FORM),
}
"""Keys and tokens of the usual providers."""

IDS = {
    "AU_MEDICARE": Entity(WITH_CONTEXT),
    "AU_TFN": Entity(WITH_CONTEXT),
    "CA_SIN": Entity(WITH_CONTEXT),
    "DE_SOCIAL_SECURITY": Entity(CHECKSUM),
    "DE_TAX_ID": Entity(WITH_CONTEXT),
    "ES_NIE": Entity(CHECKSUM),
    "ES_NIF": Entity(CHECKSUM),
    "FI_PERSONAL_IDENTITY_CODE": Entity(CHECKSUM),
    "IN_AADHAAR": Entity(WITH_CONTEXT),
    "IT_FISCAL_CODE": Entity(CHECKSUM),
    "KR_RRN": Entity(WITH_CONTEXT),
    "MEDICAL_LICENSE": Entity(WITH_CONTEXT),
    "NG_NIN": Entity(WITH_CONTEXT),
    "PL_PESEL": Entity(WITH_CONTEXT),
    "SE_PERSONNUMMER": Entity(WITH_CONTEXT),
    "TH_TNIN": Entity(WITH_CONTEXT),
    "TR_NATIONAL_ID": Entity(WITH_CONTEXT),
    "UK_NHS": Entity(WITH_CONTEXT),
    "UK_NINO": Entity(FORM),
    "US_ITIN": Entity(FORM),
    "US_SSN": Entity(f"{FORM}, without the numbers that are never issued"),
    "ZA_ID_NUMBER": Entity(WITH_CONTEXT),
}
"""Numbers that a country gives to a person."""

ENTITIES: dict[str, Entity] = {
    "CREDIT_CARD": Entity("Luhn's check digit and the lengths of its issuer"),
    "CRYPTO": Entity("Bitcoin addresses: their checksum"),
    "EMAIL_ADDRESS": Entity(FORM),
    "IBAN_CODE": Entity("modulo 97 and the length of its country"),
    "IP_ADDRESS": Entity("version 4 and 6: its form"),
    "MAC_ADDRESS": Entity(FORM),
    "PHONE_NUMBER": Entity("its country's numbering plan, or a word beside it that says what it is"),
    "URL": Entity(FORM, Treatment.REPORT),
    **IDS,
    **SECRETS,
    **MODEL_ENTITIES,
}
"""Its name in settings, placeholders and reports -> how it is found, and what is done with it."""

NEEDS_CONTEXT = frozenset(name for name, entity in ENTITIES.items() if entity.how == WITH_CONTEXT)
"""A random number of that length passes their checks once in ten or so: alone they would hide order numbers."""
