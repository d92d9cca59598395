"""The answer of a model that thinks aloud first: what is scored is what it says after its reasoning."""

import re

VERSION = "reasoning 1"
"""Part of the version of whatever scores answers; raised whenever another text would be scored."""
NAMES = ("think", "thinking", "thought", "reasoning", "seed:think")
TAGS = (
    *((f"<{name}>", f"</{name}>") for name in NAMES),
    ("[THINK]", "[/THINK]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("◁think▷", "◁/think▷"),
)
"""Opening and closing marks in use; compared without regard to case."""
OPENED = {begin.lower(): end.lower() for begin, end in TAGS}
OPENING = re.compile(r"\s*(" + "|".join(map(re.escape, OPENED)) + ")", re.IGNORECASE)
PROMPT_OPENED = re.compile("(" + "|".join(map(re.escape, OPENED)) + r")\s*\Z", re.IGNORECASE)


def final_answer(output: str, prompt: str = "") -> str:
    """What an output says after its reasoning.

    Args:
        output: A completion.
        prompt: What it completes; one that ends with an opening mark has begun the reasoning.

    Returns:
        The text after the leading block or blocks of reasoning, without the white space between; "" where the reasoning
        never ends, for then there is no answer. An output without such a block comes back as it is.
    """
    opened = PROMPT_OPENED.search(prompt[-64:])
    rest = output
    if opened is None:
        opened = OPENING.match(rest)
        if opened is None:
            return output
        rest = rest[opened.end() :]
    while opened is not None:
        end = re.compile(re.escape(OPENED[opened[1].lower()]), re.IGNORECASE).search(rest)
        if end is None:
            return ""
        rest = rest[end.end() :]
        opened = OPENING.match(rest)
        if opened is not None:
            rest = rest[opened.end() :]
    return rest.lstrip()
