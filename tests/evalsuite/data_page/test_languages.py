"""Languages of texts whose language is known."""

import pytest

from evalsuite.data_page.languages import SHORT, UNSURE, languages_of
from tasks.prepare.languages import language_of

KNOWN = {
    "en": "The parcel was returned to the warehouse because nobody was at home to receive it yesterday.",
    "de": "Das Paket wurde gestern an das Lager zurückgeschickt, weil niemand zu Hause war.",
    "fr": "Le colis a été renvoyé à l'entrepôt hier parce que personne n'était à la maison.",
    "es": "El paquete fue devuelto al almacén ayer porque no había nadie en casa para recibirlo.",
    "ja": "昨日は家に誰もいなかったので、荷物は倉庫に返送されました。明日もう一度お届けしますのでお待ちください。",
}


@pytest.mark.parametrize("language", KNOWN)
def test_a_text_of_a_known_language_is_told(language: str) -> None:
    assert languages_of([KNOWN[language]], language_of).counts == ((language, 1),)


@pytest.mark.parametrize("text", ["", "ok", "1234 5678 " * 20, "Yes, please."])
def test_a_text_of_few_letters_is_not_guessed(text: str) -> None:
    assert languages_of([text], language_of).counts == ((SHORT, 1),)


def test_a_language_that_is_not_sure_is_said_to_be_so() -> None:
    assert languages_of(["abcdefghij " * 3], lambda _: ("xx", 0.59)).counts == ((UNSURE, 1),)


def test_counts_are_of_all_texts_with_what_cannot_be_told_last() -> None:
    found = languages_of([*KNOWN.values(), KNOWN["de"], "ok", "ok", "ok"], language_of)
    assert found.counts[0] == ("de", 2)
    assert found.counts[-1] == (SHORT, 3)
    assert sum(count for _, count in found.counts) == found.num_sampled == len(KNOWN) + 4
    assert found.percent(3) == pytest.approx(100 * 3 / found.num_sampled)


def test_rare_languages_are_counted_together() -> None:
    texts = [f"{'abcdefghij ' * 3}{number}" for number in range(40)]
    found = languages_of(texts, lambda text: (f"l{text.split()[-1]}", 1.0))
    assert found.counts[15:] == (("others", 25),)
    assert sum(count for _, count in found.counts) == 40
