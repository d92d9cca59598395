"""The bars of the page, and its card."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from evalsuite.data_page.card import TO_FILL_IN, data_card, headings
from evalsuite.data_page.drift import Counts, drift_of
from evalsuite.data_page.facts import DataFacts, Example, ReasonFact, SideFact, SourceFact, StepFact
from evalsuite.data_page.languages import Languages
from evalsuite.data_page.page import bar_chart, build_data_page
from evalsuite.data_page.topics import Topic, Topics
from tests.browser.hostile import OUTPUTS

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


class Markup(HTMLParser):
    """Every tag of a page with its attributes' names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))


def everywhere(text: str) -> DataFacts:
    """Facts with one text in every place that a stranger writes."""
    example = Example(text, text, text, text, text)
    reasons = tuple(
        ReasonFact("step", did, text, 2, ((text, 2),), kinds, (example, example), False)
        for did in ("dropped", "changed")
        for kinds in ((), ((text, 2),))
    )
    side = facts().sides["train"]
    counts = Counts.model_validate(
        {"sources": {text: "1"}, "rows_read": 1, "dropped": {text: {"count": 1}}, "splits": {}}
    )
    return replace(
        facts(),
        first_bad=(text,),
        bad_rows=1,
        formats={text: 1},
        steps=(StepFact(text, 1, 1, 1, 1.0, 50.0, 50.0),),
        reasons=reasons,
        sources=(SourceFact(text, "0" * 64, 1, 0, 1, 0, 1),),
        datasets=(text,),
        sides={"train": side, "dev": side},
        languages=Languages(1, ((text, 1),)),
        topics=Topics(1, (Topic(1, (text,), text),)),
        drift=drift_of("champion", counts, Counts(rows_read=1, splits={})),
        counted={text: ((text, ((text, text), (text, 1))),)},
        settings={text: text},
    )


@pytest.mark.parametrize("text", OUTPUTS, ids=range(len(OUTPUTS)))
def test_a_hostile_text_in_any_place_changes_no_tag_of_the_page(text: str) -> None:
    text = text or "(empty)"
    assert Markup(build_data_page(everywhere(text))).tags == Markup(build_data_page(everywhere("text"))).tags
    lines = data_card(everywhere(text)).splitlines()
    assert len(lines) == len(data_card(everywhere("text")).splitlines())
    assert not any(line.startswith("<") for line in lines)


def test_the_same_facts_give_the_same_page() -> None:
    assert build_data_page(facts()) == build_data_page(facts())
