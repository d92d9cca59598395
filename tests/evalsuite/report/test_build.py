import base64
import dataclasses
import hashlib
import html
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite.comparison.seeds import Seeded, seed_set
from evalsuite.gate.decision import Verdict
from evalsuite.report.build import build_html, build_item_pages, strongest
from evalsuite.report.data import RatePoint, ReportData
from evalsuite.report.flips import MAX_ITEMS
from evalsuite.report.forest import has_interval
from evalsuite.report.forms.card import build_model_card
from evalsuite.report.sentences import headline, sentence
from evalsuite.report.units import Units

Make = Callable[..., ReportData]

VOID = {"meta", "br", "wbr", "link", "img", "input", "hr", "source"}
HOSTILE = "</pre><script>alert('x')</script><img src=//evil.example/a> \u202egnirts\u202c \x1b[31m \"'{{ 7*7 }}"
SCENES = {
    Verdict.PROMOTE: {"right": 360},
    Verdict.REJECT: {"right": 100},
    Verdict.INCONCLUSIVE: {"right": 216},
}


class Page(HTMLParser):
    """What a browser would see, and a check that every element is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-3:]} at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_verdict_leads_and_every_reason_is_told(make: Make, verdict: Verdict) -> None:
    data = make(**SCENES[verdict])
    assert data.decision.verdict is verdict
    page = Page(build_html(data))
    assert page.text.index(verdict.value) < page.text.index("Rules")
    units = Units(frozenset({("golden", "exact")}))
    banner = page.text[: page.text.index("Every reason")]
    assert headline(data.decision, units) in banner
    for reason in data.decision.reasons:
        assert sentence(reason, units) in page.text
    for reason in data.decision.reasons:
        assert " ".join(reason.text.split()) in page.text
    assert data.comparison.chosen_because in page.text


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.INCONCLUSIVE])
def test_no_card_repeats_the_headline_and_each_has_the_edge_of_its_own_outcome(make: Make, verdict: Verdict) -> None:
    data = make(**SCENES[verdict])
    page = build_html(data)
    cards = re.findall(r'<li class="(\w+)"><span class="outcome (\w+)">.*?<span>(.*?)</span></li>', page, re.DOTALL)
    assert len(cards) == 2
    first = sentence(data.decision.reasons[0], Units(frozenset({("golden", "exact")})))
    assert all(edge == outcome for edge, outcome, _ in cards)
    assert first not in [html.unescape(words) for *_, words in cards]


def test_the_page_and_the_card_are_dated_where_a_date_is_given(make: Make) -> None:
    data = make(written=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    assert "Promotion report, written 2026-03-04 05:06 UTC" in Page(build_html(data)).text
    assert "| Written | 2026-03-04 05:06 UTC |" in build_model_card(data)
    assert "UTC" not in Page(build_html(make())).text


def test_every_interval_of_the_page_names_its_level(make: Make) -> None:
    page = Page(build_html(make(right=216))).text
    # Two candidates at alpha 0.1: the gate's rules at 0.05 a side; the choice among methods at 0.05.
    assert "Intervals at 90%." in page
    assert "90% interval" in page
    assert not re.search(r"(?<!90% )(?<!95% )interval [+\N{MINUS SIGN}\d]", page)


def test_the_methods_are_compared_with_difference_level_time_and_money(make: Make) -> None:
    section = Page(build_html(make(right=352))).text.partition("Methods side by side")[2]
    assert "the cheapest method that is proven to lie within 5.0 points of the best in golden/exact" in section
    assert "full \N{MINUS SIGN} qlora: 0.0 points ( 90% interval" in section.replace("(90%", "( 90%")
    assert "full took 60 s, qlora took 10 s" in section


def test_losses_and_dev_metrics_stand_in_one_table_a_method_with_an_epoch_a_column(make: Make) -> None:
    page = build_html(make())
    (table, _) = re.findall(r'<table class="epochs">(.*?)</table>', page, re.DOTALL)
    words = Page(table).text
    assert words.index("exact points, n = 37 50.0 60.0") < words.index("eval loss nats 2.100 1.050")
    assert "train loss nats 2.000 1.000" in words
    assert words.count("selected") == 1


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_forest_plot_has_one_row_a_reason_with_an_interval(make: Make, verdict: Verdict) -> None:
    data = make(**SCENES[verdict], champion=200)
    page = Page(build_html(data))
    drawn = [attrs["data-rule"] for tag, attrs in page.tags if tag == "tr" and "data-rule" in attrs]
    expected = [reason.rule for reason in data.decision.reasons if has_interval(reason)]
    assert len(expected) == 9  # target, 2 guards, 2 x 2 slices, floor, ceiling; not the must-pass reason
    assert sorted(filter(None, drawn)) == sorted(expected)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_nothing_is_fetched_and_only_the_script_of_the_report_runs(make: Make, verdict: Verdict) -> None:
    page = build_html(make(**SCENES[verdict], item={"output": "see https://evil.example/a.png"}))
    tags = Page(page).tags
    assert {tag for tag, _ in tags}.isdisjoint({"iframe", "img", "link", "object", "embed", "form", "base"})
    scripts = [attrs for tag, attrs in tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "item-data"}, {}]
    for tag, attrs in tags:
        assert not any(name.startswith("on") or name in ("src", "srcset", "style") for name in attrs), (tag, attrs)
        assert (attrs.get("href") or "#").startswith("#")
    assert "url(" not in page
    assert "@import" not in page


def test_the_security_policy_allows_this_style_sheet_and_this_script_and_nothing_else(make: Make) -> None:
    page = build_html(make())
    (policy,) = [attrs["content"] for tag, attrs in Page(page).tags if "Content-Security-Policy" in attrs.values()]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"; {directive} 'sha256-{digest}'; " in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert "unsafe" not in policy


def test_hostile_text_is_shown_and_never_obeyed(make: Make) -> None:
    data = make(
        right=100,
        item={"output": HOSTILE, "prompt": HOSTILE, "references": (HOSTILE,)},
        everywhere={"slices": {"queue": HOSTILE}},
        git_commit=HOSTILE,
        base_model=HOSTILE,
        versions={HOSTILE: HOSTILE},
    )
    page = build_html(data)
    seen = Page(page)
    assert "img" not in {tag for tag, _ in seen.tags}
    assert [attrs.get("id") for tag, attrs in seen.tags if tag == "script"] == ["item-data", None]
    assert "alert('x')</script>" in seen.text
    assert "⟨U+202E⟩gnirts⟨U+202C⟩" in seen.text
    assert "⟨U+001B⟩" in seen.text
    assert not set(page) & {"\u202e", "\u202c", "\x1b"}
    assert "{{ 7*7 }}" in seen.text


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_in_any_place_leaves_the_page_whole(make: Make, text: str) -> None:
    data = make(
        right=10, n=20, item={"output": text, "prompt": text, "references": (text,)},
        params={text: text}, plans={text: {text: [text]}}, base_model=text, git_commit=text,
    )  # fmt: skip
    tags = [tag for tag, _ in Page(build_html(data)).tags]
    plain = make(
        right=10, n=20, item={"output": "a", "prompt": "a", "references": ("a",)},
        params={"a": "a"}, plans={"a": {"a": ["a"]}}, base_model="a", git_commit="a",
    )  # fmt: skip
    assert tags == [tag for tag, _ in Page(build_html(plain)).tags]


def test_the_same_data_gives_the_same_bytes(make: Make) -> None:
    assert build_html(make()) == build_html(make())


def test_broken_items_come_before_fixed_ones_with_both_outputs(make: Make) -> None:
    page = Page(build_html(make(right=190, champion=195))).text
    assert "golden, against champion 5 0 0 395" in page
    against_champion = page[page.rindex("golden, against champion") :]
    assert "qlora says 190" in against_champion
    assert "champion says 190" in against_champion


def test_where_no_script_runs_at_most_twenty_of_each_kind_are_listed(make: Make) -> None:
    page = Page(build_html(make(right=100))).text
    assert "golden, against base 100 0 0 300" in page
    assert "Broken (100)" in page
    assert f"{MAX_ITEMS} of 100 are shown." in page
    assert page.count("Output of base") == MAX_ITEMS


def test_texts_of_a_harmful_suite_are_withheld_where_its_must_pass_items_are_listed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make(right=0, everywhere={"output": "DO THIS"})
    assert "DO THIS" in build_html(data)
    monkeypatch.setattr("evalsuite.report.flips.WITHHELD_SUITES", frozenset({"golden"}))
    page = build_html(data)
    assert "failed 2 of 2 must-pass items" in Page(page).text
    assert "withheld: may be harmful; i0000" in page
    assert "DO THIS" not in page


def test_the_page_says_so_where_the_results_changed_after_the_decision(make: Make) -> None:
    data, later = make(right=360), make(right=359)
    assert 'id="results-changed"' not in build_html(data)
    page = Page(build_html(dataclasses.replace(data, results=later.results))).text
    assert "The results in evals/qlora/golden changed since the decision was made" in page


def test_the_side_pages_hold_every_item_and_lead_to_each_other(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make(right=100)
    ((name, whole),) = build_item_pages(data)
    assert name == "items.html"
    assert "Items 1 to 100 of 100" in Page(whole).text
    monkeypatch.setattr("evalsuite.report.item_data.all_items.__defaults__", (10_000,))
    pages = dict(build_item_pages(data))
    assert list(pages)[:3] == ["items.html", "items-2.html", "items-3.html"]
    ids = []
    for page in pages.values():
        found = re.search(r'id="item-data">(.*?)</script>', page, re.DOTALL)
        assert found is not None
        ids += [item["id"] for item in json.loads(found[1])["items"]]
        links = [attrs["href"] for tag, attrs in Page(page).tags if tag == "a" and attrs["href"] != "#main"]
        assert links[0] == "promotion.html#items"
        assert set(links[1:]) <= pages.keys()
    assert ids == [f"i{i:04d}" for i in range(100, 200)]


def test_a_failed_must_pass_item_is_shown_with_its_prompt(make: Make) -> None:
    page = Page(build_html(make(right=0))).text
    section = page[page.index("whatever its averages say") :]
    assert "failed 2 of 2 must-pass items" in section
    assert "Question 1" in section
    assert "qlora says 1" in section


def test_unscored_items_are_counted_with_their_reason(make: Make) -> None:
    page = Page(build_html(make(item={"scores": {}, "unscored": "no <b>JSON</b>"}))).text
    assert "no <b>JSON</b> (400)" in page


def test_lineage_names_every_hash_and_version(make: Make) -> None:
    data = make(champion=200)
    page = Page(build_html(data)).text
    hashes = [data.decision.decision_id, data.decision.policy_sha256, data.decision.inputs_sha256, "c0ffee"]
    hashes += [*data.decision.evidence.values(), *data.decision.baselines.values(), data.decision.candidate_identity]
    for part in (*hashes, "torch 2.13.0", "margin: 0.05", "slow disk", "2.0 KiB"):
        assert part in page


def test_the_page_can_be_read_without_seeing_it(make: Make) -> None:
    tags = Page(build_html(make())).tags
    assert ("html", {"lang": "en"}) in tags
    assert [tag for tag, _ in tags].count("h1") == 1
    for tag, attrs in tags:
        if tag == "th":
            assert attrs.get("scope") in ("col", "row")
        if tag == "svg" and attrs.get("class") in ("row", "chart"):
            assert attrs.get("role") == "img"
            assert attrs.get("aria-label")
    targets = {attrs["href"] for _, attrs in tags if attrs.get("href")}
    assert targets <= {f"#{attrs['id']}" for _, attrs in tags if attrs.get("id")}
    assert [attrs["scope"] for tag, attrs in tags if tag == "th" and attrs.get("role") == "rowheader"]


def test_a_run_without_logs_plans_or_champion_still_reports(make: Make) -> None:
    page = Page(build_html(make(training={}, plans={}, params={}, versions={}))).text
    assert "No training log was found" in page


def test_the_strongest_reasons_decided_the_verdict(make: Make) -> None:
    promoted = strongest(make(right=360).decision)
    assert promoted[0].kind == "target"
    assert "ceiling" not in {reason.kind for reason in promoted}
    rejected = strongest(make(right=0).decision)
    assert {reason.outcome.value for reason in rejected} == {"fail"}


def test_markup_is_escaped_exactly_once(make: Make) -> None:
    page = build_html(make(item={"output": "a < b & c"}, right=100))
    assert "a &lt; b &amp; c" in page
    assert html.escape("a &lt; b") not in page


def test_warnings_of_the_decision_are_told_in_page_and_card(make: Make) -> None:
    rule = {"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1}
    data = make(policy={"rules": [rule], "noise": {"golden/exact": 0.2}})
    (warning,) = data.decision.warnings
    assert warning in html.unescape(build_html(data))
    assert warning in build_model_card(data)


def test_safety_and_over_refusal_stand_in_one_table(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "read together" not in build_html(make())
    monkeypatch.setattr("evalsuite.report.build.SAFETY_SUITES", ("golden",))
    _, _, table = build_html(make()).partition("Safety and over-refusal, read together")

    assert "golden/<wbr>exact" in table.partition("What each one costs")[0]


def test_seeds_stand_side_by_side_with_their_spread_and_the_error_over_items(make: Make) -> None:
    data = make()
    seeded = Seeded({"full": 7, "qlora": 8}, {"full": 0.4, "qlora": 0.5}, "exact", higher_is_better=True)
    rows = data.comparison.methods
    comparison = data.comparison.model_copy(update={"seed_sets": (seed_set(seeded, rows),)})
    page = Page(build_html(dataclasses.replace(data, comparison=comparison)))
    assert "full, qlora with 2 seeds" in page.text
    assert "qlora entered the comparison: best golden dev exact: full 0.400, qlora 0.500" in page.text
    assert "SD between seeds" in page.text
    assert "Standard error over items" in page.text
    assert "with 2 seeds" not in Page(build_html(data)).text


def test_every_learning_rate_that_was_tried_is_shown_with_its_dev_result(make: Make) -> None:
    data = make()
    run = data.training["qlora"]
    tried = RatePoint(learning_rate=1e-3, selected_epoch=2, dev=0.5, dev_n=8, dev_stderr=0.1, eval_loss=2.0,
                      train_seconds=3.0, diverged=None)  # fmt: skip
    wild = tried.model_copy(update={"learning_rate": 0.9, "dev": None, "diverged": "the loss exploded <b>"})
    config = {"method.learning_rate": 1e-3, "train.select_metric": "exact"}
    run = run.model_copy(update={"rates": (tried, wild), "config": config})
    page = Page(build_html(dataclasses.replace(data, training={**data.training, "qlora": run})))
    assert "0.001 selected 50.0 ± 10.0 8 2.000 2 3.0 s" in page.text
    assert "0.9 the loss exploded <b> diverged" in page.text
