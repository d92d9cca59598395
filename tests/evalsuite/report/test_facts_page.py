"""The sections of the page beyond the verdict."""

import dataclasses
from collections.abc import Callable

import pytest

from evalsuite.gate.replay import DataCounts, RunInputs
from evalsuite.report.build import build_html
from evalsuite.report.data import Command, HistoryLine, Past, ReportData
from evalsuite.report.forms.card import build_model_card
from tests.evalsuite.report.everything import COUNTS, everything
from tests.evalsuite.report.test_build import HOSTILE, Page

Make = Callable[..., ReportData]


def section(page: str, name: str) -> str:
    """The words of one section."""
    return Page(page.split(f'<section id="{name}"')[1].partition(">")[2].split("</section>")[0]).text


def test_the_page_tells_every_fact_in_its_section() -> None:
    data = everything(right=90)
    page = build_html(data)
    candidate = data.decision.candidate
    assert candidate == "lora"
    assert "Quality against cost" in section(page, "methods")
    suites = section(page, "suites")
    # 88 of 98, the contaminated items left out; scipy's binomtest(88, 98).proportion_ci(0.9).
    assert "89.8 83.3 to 94.4 n = 98, 0 unscored" in suites
    assert "attack_success cls v1 75.0% 65.3% to 83.1% 100 people" in suites
    assert "2 of 280 items are in the 858 training rows" in suites
    assert "g3 a.jsonl:3 run of 8 words 0.800" in suites
    assert "Age bias_ambiguous" in suites
    told = section(page, "data")
    assert "duplicates 958 230" in told
    assert "a.jsonl: changed" in told
    assert "rows read 1,000 1,200" in told
    lineage = section(page, "lineage")
    assert "train.seed 1 2" in lineage
    assert "ratchet gate replay abcd" in lineage
    history = section(page, "history")
    assert "2026-03-01 10:00 rollback" in history
    assert "it was slow" in history
    assert "The last 1 of 31 lines of the ledger" in history
    labels = [
        attrs["aria-label"] or ""
        for tag, attrs in Page(page).tags
        if tag == "svg" and "chart" in (attrs.get("class") or "")
    ]
    for start in ("golden/exact against cost", "Attack success and over-refusal", "golden/exact of each champion"):
        assert any(label.startswith(start) for label in labels), start
    assert "out of date" not in page


def test_results_that_changed_since_the_decision_are_told_beside_the_verdict() -> None:
    data = everything()
    result = data.results["base"]["xstest"]
    first = result.items[0].model_copy(update={"scores": {"over_refusal": 0.5}})
    results = {
        **data.results,
        "base": {**data.results["base"], "xstest": dataclasses.replace(result, items=(first, *result.items[1:]))},
    }
    page = Page(build_html(dataclasses.replace(data, results=results))).text
    banner = page[: page.index("Rules")]
    assert "This report is out of date. The results in evals/base/xstest changed since the decision was made" in banner
    assert "ratchet stage gate , then ratchet stage report" in banner


@pytest.mark.parametrize(
    "part", ["contamination", "data_counts", "champion_inputs", "run_inputs", "method_tables", "past", "commands"]
)
def test_a_run_without_one_part_still_reports(part: str) -> None:
    empty = {"method_tables": {}, "past": Past(), "commands": ()}.get(part)
    data = dataclasses.replace(everything(), **{part: empty})
    page = build_html(data)
    assert Page(page).text.startswith("PROMOTE")
    said = {
        "contamination": ("suites", "Nobody looked"),
        "data_counts": ("data", "Preparation left no report"),
        "champion_inputs": ("lineage", "not recorded by the run that promoted it"),
        "run_inputs": ("lineage", "were not recorded beside its decision"),
        "past": ("history", "No other verdict was recorded before this one"),
    }
    if part in said:
        name, words = said[part]
        assert words in section(page, name)


def test_a_run_without_champion_or_anything_else_still_reports(make: Make) -> None:
    page = build_html(make())
    assert "There is no champion to compare the settings with" in section(page, "lineage")
    assert "Preparation left no report" in section(page, "data")
    assert "Stopping early" not in page
    assert "Bias by category" not in page


def test_hostile_names_in_the_new_sections_stay_text() -> None:
    names = ("when", "event", "verdict", "model", "identity", "decision_id", "actor", "note")
    line = HistoryLine.model_validate(dict.fromkeys(names, HOSTILE))
    step = {"name": HOSTILE, "rows_in": 2, "kept": 1, "dropped": 1}
    counts = {**COUNTS, "sources": {HOSTILE: HOSTILE}, "dropped": {HOSTILE: {"count": 1}}, "steps": [step]}
    data = everything(
        commands=(Command(what=HOSTILE, command=HOSTILE),),
        past=Past(num_lines=1, lines=(line,)),
        data_counts=DataCounts.model_validate(counts),
        run_inputs=RunInputs(params={HOSTILE: HOSTILE}),
    )
    assert data.contamination is not None
    dirty = tuple(
        suite.model_copy(update={"items": tuple(item.model_copy(update={"row": HOSTILE}) for item in suite.items)})
        for suite in data.contamination.suites
    )
    data = dataclasses.replace(data, contamination=data.contamination.model_copy(update={"suites": dirty}))
    page = build_html(data)
    tags = Page(page).tags
    assert "img" not in {tag for tag, _ in tags}
    assert [attrs for tag, attrs in tags if tag == "script"] == [{"type": "application/json", "id": "item-data"}, {}]
    assert not any(name.startswith("on") for _, attrs in tags for name in attrs)
    assert not set(page) & {"\u202e", "\u202c", "\x1b"}


def test_the_card_leaves_out_what_training_gives_away() -> None:
    assert "| golden/exact (judged) | 89.8 | 83.3 to 94.4 | 98 | 0 | 59.2 |" in build_model_card(everything(right=90))
