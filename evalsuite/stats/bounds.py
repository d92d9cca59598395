"""Which metrics' scores are known to lie within [0, 1]; scores that merely happen to lie there prove no bound."""

UNBOUNDED = frozenset(
    {
        "perplexity",
        "ppl",
        "word_perplexity",
        "byte_perplexity",
        "bits_per_byte",
        "bits_per_word",
        "bits_per_token",
        "nats_per_byte",
        "nats_per_word",
        "nats_per_token",
        "loglikelihood",
        "log_likelihood",
        "logprob",
        "loss",
        "nll",
        "cross_entropy",
        "bpb",
        "bpc",
        "bpw",
        "kl",
        "kl_divergence",
        "mae",
        "mse",
        "rmse",
        "brier_score",
        "wer",
        "cer",
        "ter",
        "word_error_rate",
        "char_error_rate",
        "edit_distance",
        "seconds",
        "latency",
        "duration",
        "cost",
        "tokens",
    }
)
"""Names of metrics that have no upper bound, or one above 1 (Brier's is 2), whatever a sample of scores looks like."""
UNITS = (
    "_perplexity",
    "_ppl",
    "_loss",
    "_nll",
    "_wer",
    "_cer",
    "_divergence",
    "_mae",
    "_mse",
    "_rmse",
    "_seconds",
    "_latency",
    "_ms",
    "_tokens",
    "_cost",
    "_bytes",
)
"""Ends of names that say the same."""


def may_be_bounded(metric: str) -> bool:
    """Whether scores of a metric that lie within [0, 1] may be taken to be bounded by it.

    Args:
        metric: Its name; lm-eval's ``METRIC,FILTER`` counts as METRIC.
    """
    name = metric.split(",")[0].strip().lower()
    return name not in UNBOUNDED and not name.endswith(UNITS)
