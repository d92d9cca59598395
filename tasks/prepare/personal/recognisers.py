"""The recogniser of each kind of personal data, in Presidio's form; imported where it is used.

Ours stand where Presidio's miss what they should find, or would read the internet; the others are Presidio's own.
"""

from collections.abc import Callable, Collection
from functools import cache
from typing import Any

import tldextract
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer
from presidio_analyzer import predefined_recognizers as presidio

from tasks.prepare.personal.entities import MODEL_ENTITIES, SECRETS
from tasks.prepare.personal.numbers import CardRecognizer, IbanRecognizer, PhoneRecognizer
from tasks.prepare.personal.secret_keys import EXACT, SecretRecognizer

DOMAIN = r"(?:\w(?:[\w-]{0,61}\w)?\.){1,20}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})(?![\w-])"
EMAILS = (
    Pattern("address", rf"(?<![\w.+%-])\w[\w.!#$%&'*+^`{{|}}~-]{{0,63}}@{DOMAIN}", 0.5),
    Pattern("end of a long address", rf"(?<=[\w.+%-])[\w.+%-]{{64}}@{DOMAIN}", 0.5),
    Pattern("address at a number", r"(?<![\w.+%-])\w[\w.+%-]{0,63}@\[[0-9A-Fa-f.:]{3,60}\]", 0.5),
)
REST_OF_URL = r"[^\s<>\"'`{}|\\^\[\]]"
URLS = (
    Pattern("scheme", rf"(?<!\w)(?:https?|ftps?|sftp|wss?|ssh)://{REST_OF_URL}{{2,2000}}(?<![.,;:!?)*])", 0.6),
    Pattern("www", rf"(?<![\w@.-])www\d{{0,3}}\.{REST_OF_URL}{{3,2000}}(?<![.,;:!?)*])", 0.6),
    Pattern(
        "name of a host",
        r"(?<![\w@.-])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}"
        r"(?:com|org|net|edu|gov|int|info|biz|(?:co|com|org|ac|gov|net)\.[a-z]{2})"
        rf"(?:[/?]{REST_OF_URL}{{0,2000}}(?<![.,;:!?)*]))?(?![\w@-])",
        0.5,
    ),
)
NAME = r"\p{Lu}[\p{L}'\u2019-]+(?:[ ]\p{Lu}\.?(?![\p{L}]))?(?:[ ](?:d[aeiu]|de la|van(?: de[rn]?)?|von|al|bin|el))?"
NAMES = rf"{NAME}(?:[ ]\p{{Lu}}[\p{{L}}'\u2019-]+){{0,3}}"
NOBODY = (
    r"(?!(?:Customer|Sir|Madam|Team|All|Support|Client|Colleague|Friend|User|Editor|Service|Everyone|Committee|Name|"
    r"The|Not|Your|My|No|Yes|It|In|On|At|And|From|Of|To|Date|Phone|Address|E-?[Mm]ail)s?\b)"
)
PEOPLE = (
    Pattern("title", rf"(?<=\b(?:Mrs?|Ms|Miss|Dr|Prof|Professor|[Mm][rs]s?|Herr|Frau|Mme)\.?[ ]){NOBODY}{NAMES}", 0.9),
    Pattern(
        "introduction",
        rf"(?<=\b(?:[Mm]y|[Hh]is|[Hh]er|[Ww]hose|maiden|[Pp]artner's|the)[ ](?:(?:first|last|full|maiden)[ ])?name[ ]"
        rf"(?:is|was)[ ]|\b[Nn]ame:\s{{0,2}}|\b[Nn]amed[ ](?:him[ ]|her[ ])?|\b(?:I'm|I am|[Tt]his is|[Cc]alls? me)[ ])"
        rf"{NOBODY}{NAMES}(?!\w)",
        0.6,
    ),
    Pattern("letter", rf"(?<=^[ ]?(?:Dear|Hi|Hello|Regards,?|Sincerely,?)\s){NOBODY}{NAMES}(?=,|\s*$|!)", 0.9),
)


@cache
def _suffixes() -> Callable[[str], Any]:
    """Names of top-level domains from the list that the package carries: nothing is downloaded or kept."""
    return tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())


class EmailRecognizer(PatternRecognizer):  # type: ignore[misc]
    """Addresses; surest where the public suffix list has their end, yet those of a company's own network too."""

    def __init__(self, language: str) -> None:
        """Recognise in texts of this language."""
        super().__init__(
            "EMAIL_ADDRESS", supported_language=language, patterns=list(EMAILS), context=["email", "mail", "e-mail"]
        )

    def validate_result(self, pattern_text: str) -> bool | None:
        """True where the end is known; None leaves the pattern's own score."""
        return bool(_suffixes()(pattern_text.rpartition("@")[2]).fqdn) or None


def _urls(language: str) -> EntityRecognizer:
    return PatternRecognizer("URL", supported_language=language, patterns=list(URLS), context=["url", "website"])


def _people(language: str) -> EntityRecognizer:
    return PatternRecognizer(
        "PERSON", supported_language=language, patterns=list(PEOPLE), global_regex_flags=EXACT, name="introduced"
    )


OWN: dict[str, Callable[[str], EntityRecognizer]] = {
    "CREDIT_CARD": CardRecognizer,
    "EMAIL_ADDRESS": EmailRecognizer,
    "IBAN_CODE": IbanRecognizer,
    "PHONE_NUMBER": PhoneRecognizer,
    "URL": _urls,
    "PERSON": _people,
}
PRESIDIO: dict[str, type[Any]] = {
    "AU_MEDICARE": presidio.AuMedicareRecognizer,
    "AU_TFN": presidio.AuTfnRecognizer,
    "CA_SIN": presidio.CaSinRecognizer,
    "CRYPTO": presidio.CryptoRecognizer,
    "DE_SOCIAL_SECURITY": presidio.DeSocialSecurityRecognizer,
    "DE_TAX_ID": presidio.DeTaxIdRecognizer,
    "ES_NIE": presidio.EsNieRecognizer,
    "ES_NIF": presidio.EsNifRecognizer,
    "FI_PERSONAL_IDENTITY_CODE": presidio.FiPersonalIdentityCodeRecognizer,
    "IN_AADHAAR": presidio.InAadhaarRecognizer,
    "IP_ADDRESS": presidio.IpRecognizer,
    "IT_FISCAL_CODE": presidio.ItFiscalCodeRecognizer,
    "KR_RRN": presidio.KrRrnRecognizer,
    "MAC_ADDRESS": presidio.MacAddressRecognizer,
    "MEDICAL_LICENSE": presidio.MedicalLicenseRecognizer,
    "NG_NIN": presidio.NgNinRecognizer,
    "PL_PESEL": presidio.PlPeselRecognizer,
    "SE_PERSONNUMMER": presidio.SePersonnummerRecognizer,
    "TH_TNIN": presidio.ThTninRecognizer,
    "TR_NATIONAL_ID": presidio.TrNationalIdRecognizer,
    "UK_NHS": presidio.NhsRecognizer,
    "UK_NINO": presidio.UkNinoRecognizer,
    "US_ITIN": presidio.UsItinRecognizer,
    "US_SSN": presidio.UsSsnRecognizer,
    "ZA_ID_NUMBER": presidio.ZaIdNumberRecognizer,
}


def recognisers(entities: Collection[str], language: str) -> list[EntityRecognizer]:
    """Those of the entities that have one beside the model, sorted by name."""
    found: list[EntityRecognizer] = []
    for name in sorted(entities):
        if name in SECRETS:
            found.append(SecretRecognizer(name, language))
        elif name in OWN:
            found.append(OWN[name](language))
        elif name in PRESIDIO:
            found.append(PRESIDIO[name](supported_language=language))
    model = sorted(set(entities) & MODEL_ENTITIES.keys())
    return [*found, presidio.SpacyRecognizer(supported_language=language, supported_entities=model)] if model else found
