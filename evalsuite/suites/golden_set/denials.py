"""Whether a text denies what stands between two of its parts: ``not B``, ``B is wrong``."""

import re

BEFORE = re.compile(
    r"\b(?:not|never|no(?!\s*[,.:;!])|cannot|\w+n['\u2019]t|neither|nor|rather than|instead of|unlike|except|excluding|"
    r"than|without|wrong|incorrect|false|eliminated?|rule out|ruled out|rejects?|nicht|nie|kein\w*|pas|non|n\u00e3o|"
    r"nunca|\u043d\u0435)\b|\u4e0d",
    re.IGNORECASE,
)
CONTRAST = re.compile(
    r"\b(?:but|so|thus|hence|therefore|then|sondern|sino|mais|also)\b|\u800c\u662f|[.!?;\n\u3002]", re.IGNORECASE
)
"""What ends a denial."""
SUBJECT = r"[)\]}\"'\u201d\u2019]*,?\s*(?:\([^()]*\)\s*)?"
AFTER = re.compile(
    SUBJECT + r"(?:(?:is|was|are|were|seems|looks|appears|has been|can be|must be|would be|should be|could be)\s+"
    r"(?:also\s+|clearly\s+|definitely\s+|obviously\s+|simply\s+|just\s+|therefore\s+)?"
    r"(?:not|never|wrong|incorrect|false|untrue|ruled\s+out|eliminated|out\b|excluded|invalid|impossible|no\b)"
    r"|(?:isn|wasn|aren|doesn|can|couldn|won|wouldn|shouldn)['\u2019]t\b|cannot\b|(?:can|does|did|would|should|could)\s+not\b"
    r"|fails\b|ist\s+(?:falsch|nicht)|est\s+(?:faux|fausse)|n['\u2019]est\s+pas|no\s+es\b|es\s+(?:falsa|falso|incorrecta)"
    r"|(?:no|wrong|incorrect|false|not)\b(?!\s+[A-Z]\b)|\u4e0d|\u662f\u9519|\u9519)",
    re.IGNORECASE,
)
REACH = 60
"""Characters before a letter in which it may be denied."""


def denied(before: str, after: str) -> bool:
    """Whether a letter between two texts is denied, by a word before it in its clause or by what is said of it."""
    near = before[-REACH:]
    last = max((match.end() for match in BEFORE.finditer(near)), default=None)
    if last is not None and not CONTRAST.search(near, last):
        return True
    return AFTER.match(after[:REACH]) is not None
