import pytest

from evalsuite.stats.bounds import may_be_bounded


@pytest.mark.parametrize(
    "metric", ["wer", "WER", "asr_wer", "cer,none", "bpb", "ppl", "brier_score", "kl_divergence", "mae", "valid_loss"]
)
def test_error_rates_and_losses_that_may_exceed_one_are_not_taken_as_bounded(metric: str) -> None:
    assert not may_be_bounded(metric)


@pytest.mark.parametrize("metric", ["exact_match", "acc", "acc,none", "rouge_l", "bertscore_f1", "answer", "mercer"])
def test_shares_are(metric: str) -> None:
    assert may_be_bounded(metric)
