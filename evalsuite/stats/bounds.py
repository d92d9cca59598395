"""Which metrics' scores are known to lie within [0, 1]; scores that merely happen to lie there prove no bound."""

UNBOUNDED = frozenset(
    {
        "perplexity",
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
        "seconds",
        "latency",
        "duration",
        "cost",
        "tokens",
    }
)
"""Names of metrics that have no upper bound, whatever a sample of their scores looks like."""
UNITS = ("_perplexity", "_loss", "_nll", "_seconds", "_latency", "_ms", "_tokens", "_cost", "_bytes")
"""Ends of names that say the same."""


def may_be_bounded(metric: str) -> bool:
    """Whether scores of a metric that lie within [0, 1] may be taken to be bounded by it.

    Args:
        metric: Its name; lm-eval's ``METRIC,FILTER`` counts as METRIC.
    """
    name = metric.split(",")[0].strip().lower()
    return name not in UNBOUNDED and not name.endswith(UNITS)
