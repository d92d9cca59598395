"""Which way a metric is better: known, guessed from the words of its name, or asked for.

A guard whose direction is wrong promotes a model for getting worse. So a rule takes no default where its metric is
better lower, or where nothing tells.
"""

import re

from evalsuite.core.direction import Direction
from evalsuite.gate.rules import Rule
from evalsuite.items.lm_eval_values import direction_of

OWN = {
    "accuracy_ambiguous": Direction.HIGHER,
    "accuracy_disambiguated": Direction.HIGHER,
    "attack_success": Direction.LOWER,
    "bertscore_pass": Direction.HIGHER,
    "bits_per_byte": Direction.LOWER,
    "choice": Direction.HIGHER,
    "json_fields": Direction.HIGHER,
    "json_schema": Direction.HIGHER,
    "judge": Direction.HIGHER,
    "over_refusal": Direction.LOWER,
    "refusal_expected": Direction.HIGHER,
    "refusal_not_expected": Direction.HIGHER,
    "regex": Direction.HIGHER,
    "unsafe_compliance": Direction.LOWER,
}
"""Metrics of our own suites whose names do not tell."""
LOWER_WORDS = re.compile(
    r"asr|attack|bpb|brier|cer|costs?|deviation|distance|err|errors?|fail(s|ed|ures?)?|fallback|hallucinations?|harm(ful|"
    r"fulness)?|invalid|lag|latency|leak(s|age)?|logloss|loss(es)?|ma[ep]|mape|milliseconds|mistakes?|ms|r?mse|nll|"
    r"overrefusal|perplexity|ppl|refusals?|regret|seconds|stereotypes?|surprisal|ter|time|toxic(ity)?|unsafe|violations?|wer"
)
HIGHER_WORDS = re.compile(
    r"acc|accuracy|auc|auroc|bertscore|bleu|bleurt|chrf|coherence|comet|contains|correct(ness)?|coverage|em|equal|exact|f1|"
    r"faithfulness|fluency|groundedness|hits?|match(ed)?|mcc|meteor|mrr|ndcg|numeric|ok|pass(ed|es)?|precision|quality|r2|"
    r"rating|recall|relevance|reward|rouge([12l]|lsum)?|safe|scores?|similarity|solved|success|top[15]|valid|wins?"
)


def known_direction(metric: str) -> Direction | None:
    """Of a metric of lm-eval or of our own suites; None for any other name."""
    name = metric.partition(",")[0]
    return OWN.get(name) or direction_of(name)


def direction_by_words(metric: str) -> Direction | None:
    """What the words of a name say; None where they say nothing, or both."""
    words = set(re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", metric.partition(",")[0]).lower()))
    lower, higher = any(map(LOWER_WORDS.fullmatch, words)), any(map(HIGHER_WORDS.fullmatch, words))
    if lower == higher:
        return None
    return Direction.LOWER if lower else Direction.HIGHER


def unclear_direction(
    metric: str, direction: Direction, is_written: bool, where: str, name: str = "direction"
) -> str | None:
    """What to write where a direction is missing or wrong; None where it is right.

    Args:
        metric: The metric's name.
        direction: What the setting says, or its default.
        is_written: Whether somebody wrote it.
        where: The setting, for the message.
        name: The key that says it.
    """
    known = known_direction(metric)
    if known is not None and direction is not known:
        right = f"`{name}: {known.value}`"
        return f"{where}: {name} is {direction.value}, and {metric} is better {known.value}; write {right} there"
    if known is not None or is_written:
        return None
    if direction_by_words(metric) is direction:
        return None
    return f"{where}: which way {metric} is better is not known; write `{name}: higher` or `{name}: lower` there"


def unclear_rule(rule: Rule) -> str | None:
    """``unclear_direction`` of a rule; a floor, a ceiling and a cost have no direction."""
    if not rule.paired:
        return None
    written = "direction" in rule.model_fields_set
    return unclear_direction(rule.metric, rule.direction, written, f"rule {rule.suite}/{rule.metric}")
