"""The bars of the page, and its card."""

from dataclasses import replace

from evalsuite.data_page.card import TO_FILL_IN, data_card, headings
from evalsuite.data_page.facts import DataFacts, SideFact, SourceFact
from evalsuite.data_page.languages import Languages
from evalsuite.data_page.page import bar_chart, build_data_page
from evalsuite.data_page.topics import Topics

EDGES = ("32", "64", "96", "128", "more")


def facts() -> DataFacts:
    side = SideFact(8, 8, 80, 8, 10.0, 12.0, 14, {"32": 6, "96": 2})
    return DataFacts(
        objective="sft",
        rows_read=10,
        bad_rows=0,
        first_bad=(),
        formats={"chat": 10},
        steps=(),
        reasons=(),
        sources=(SourceFact("data/raw/[x](javascript:1).jsonl", "0" * 64, 10, 0, 8, 2, 100),),
        datasets=("me/mine",),
        sides={"train": side, "dev": side},
        edges=EDGES,
        answers={"learnt": 10, "context": 0},
        languages=Languages(0, ()),
        topics=Topics(0, ()),
        drift=None,
        drift_note="There is no champion to compare the rows with.",
        texts_withheld=False,
    )


def test_bars_are_shares_of_their_own_total_and_no_bin_between_is_left_out() -> None:
    chart = bar_chart({"train": {"32": 6, "96": 2}, "dev": {"64": 1}}, EDGES)
    assert [bin.label for bin in chart.bins] == ["32", "64", "96"]
    assert [bin.counts for bin in chart.bins] == [(6, 0), (0, 1), (2, 0)]
    assert [bin.bars for bin in chart.bins] == [(75.0, 0.0), (0.0, 100.0), (25.0, 0.0)]
    assert chart.ticks[0] == (100.0, "0%")
    assert chart.ticks[-1] == (0.0, "100%")


def test_the_open_bin_is_named_by_where_it_begins() -> None:
    assert [bin.label for bin in bar_chart({"train": {"128": 1, "more": 1}}, EDGES).bins] == ["128", "over 128"]


def test_a_histogram_of_nothing_has_no_bars() -> None:
    assert [bin.bars for bin in bar_chart({"train": {}}, EDGES).bins] == [(0.0,)]


def test_the_card_has_every_heading_of_the_template_in_its_order() -> None:
    numbers = [heading.number for heading in headings(facts())]
    assert numbers == [
        "1.",
        "1.1",
        "1.2",
        "1.3",
        "2.",
        "2.1",
        "2.2",
        "2.3",
        "2.4",
        "2.5",
        "2.6",
        "3.",
        "3.1",
        "3.2",
        "3.3",
    ]


def test_the_card_leaves_to_the_provider_what_rows_cannot_say() -> None:
    card = data_card(facts())
    assert f"- Provider, contact: *{TO_FILL_IN}*" in card
    assert "80 tokens in 8 rows (less than 1 billion)" in card
    assert r"\[x\](javascript" in card
    assert "me/mine" in card


def test_what_a_step_counted_is_a_table_of_its_own_and_no_text_comes_alive() -> None:
    counted = {"personal_data": (("<b>EMAIL</b>", (("treatment", "redact"), ("found", 1234), ("rows", 9))),)}
    page = build_data_page(replace(facts(), counted=counted, texts_withheld=True))
    assert "Counted by step personal_data" in page
    assert '&lt;b&gt;EMAIL&lt;/b&gt;</th><td>redact</td><td class="num">1,234</td><td class="num">9</td>' in page
    assert "this page shows no text of a row" in page


def test_the_same_facts_give_the_same_page() -> None:
    assert build_data_page(facts()) == build_data_page(facts())
