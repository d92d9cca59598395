"""Recognisers of keys and tokens, in Presidio's form. Imported where they are used: Presidio takes seconds."""

import base64
import json

import regex
from presidio_analyzer import Pattern, PatternRecognizer

EXACT = regex.DOTALL | regex.MULTILINE
"""Keys mean something else in other letters' case."""

FORMS: dict[str, tuple[tuple[str, float], ...]] = {
    "ANTHROPIC_API_KEY": ((r"\bsk-ant-[a-z]{2,8}\d{2}-[\w-]{20,200}", 1.0),),
    "AWS_ACCESS_KEY_ID": ((r"(?<![A-Za-z0-9])(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])", 1.0),),
    "AWS_SECRET_ACCESS_KEY": (
        (r"(?<![\w/+=-])(?=[\w/+]*[A-Z])(?=[\w/+]*[a-z])(?=[\w/+]*\d)[A-Za-z0-9/+]{40}(?![\w/+=-])", 0.2),
        (r"(?<=(?i:secret_?(?:access_?)?key)[\"']?\s{0,3}[=:]\s{0,3}[\"']?)[A-Za-z0-9/+]{40}(?![\w/+=-])", 0.9),
    ),
    "GITHUB_TOKEN": ((r"\b(?:gh[opusr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255})\b", 1.0),),
    "GOOGLE_API_KEY": (
        (r"(?<![\w-])AIza[\w-]{35}(?![\w-])", 1.0),
        (r"\bGOCSPX-[\w-]{28}(?![\w-])", 1.0),
        (r"\bya29\.[\w-]{20,512}", 0.9),
    ),
    "HF_TOKEN": ((r"\b(?:hf_|api_org_)[A-Za-z0-9]{30,64}\b", 1.0),),
    "JWT": ((r"(?<![\w.-])ey[\w-]{8,2000}\.ey[\w-]{8,8000}\.[\w-]{0,2000}", 0.5),),
    "OPENAI_API_KEY": (
        (r"\bsk-(?:proj|svcacct|admin|None)-[\w-]{20,200}", 1.0),
        (r"\bsk-(?!ant-)[A-Za-z0-9]{32,64}(?![\w-])", 0.9),
    ),
    "PRIVATE_KEY": (
        (
            r"-----BEGIN[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----.{1,12000}?"
            r"-----END[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----",
            1.0,
        ),
        (r"-----BEGIN[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----(?:\s*[A-Za-z0-9+/=:,-]+(?=\s|$)){0,200}", 0.9),
    ),
    "SLACK_TOKEN": (
        (r"\bxox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,250}", 1.0),
        (r"\bxapp-\d-[A-Za-z0-9-]{10,250}", 1.0),
        (r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{20,100}", 1.0),
    ),
    "STRIPE_API_KEY": ((r"\b(?:(?:sk|rk|pk)_(?:test|live|prod)|whsec)_[A-Za-z0-9]{10,250}\b", 1.0),),
}
"""As the providers' pages and gitleaks' rules describe them (github.com/gitleaks/gitleaks, config/gitleaks.toml)."""

CONTEXT = {"AWS_SECRET_ACCESS_KEY": ["aws", "amazon", "secret", "secretaccesskey", "aws_secret_access_key"]}


class SecretRecognizer(PatternRecognizer):  # type: ignore[misc]
    """One provider's keys."""

    def __init__(self, entity: str, language: str) -> None:
        """Take the forms of ``FORMS``."""
        super().__init__(
            supported_entity=entity,
            name=f"{entity} by form",
            supported_language=language,
            patterns=[Pattern(f"{entity} {at}", form, score) for at, (form, score) in enumerate(FORMS[entity])],
            context=CONTEXT.get(entity),
            global_regex_flags=EXACT,
        )

    def validate_result(self, pattern_text: str) -> bool | None:
        """Whether a JSON web token has a head; None for the others."""
        if self.supported_entities != ["JWT"]:
            return None
        head = pattern_text.partition(".")[0]
        try:
            data = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        except (ValueError, RecursionError):
            return False
        return isinstance(data, dict) and "alg" in data
