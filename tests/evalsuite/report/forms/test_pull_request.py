import dataclasses
from collections.abc import Callable

import pytest

from evalsuite.gate.decision import Verdict
from evalsuite.report.data import ReportData
from evalsuite.report.forms.pull_request import pull_request_markdown
from tests.evalsuite.report.everything import everything
from tests.evalsuite.report.test_build import SCENES

Make = Callable[..., ReportData]
HOSTILE = "a|b `c` \n# d\n<img src=x> [e](https://evil.example) @all \u202e"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_verdict_comes_first_and_why_right_after(make: Make, verdict: Verdict) -> None:
    lines = pull_request_markdown(make(**SCENES[verdict], champion=200)).splitlines()
    assert lines[0] == f"# {verdict}: qlora"
    assert "golden/exact" in "\n".join(lines[1:8])
    assert len(lines) < 60


def test_numbers_are_those_of_the_page() -> None:
    text = pull_request_markdown(everything(right=90))
    assert "| judged metric | lora | 90% interval | base | champion | n | unscored |" in text
    assert "| golden/exact | 89.8 | 83.3 to 94.4 | 59.2 | 59.2 | 98 | 0 |" in text
    assert "| golden | base | 0 | 30 | 70 |" in text
    assert "- Training and evaluation took 10 s." in text
    assert "- 2 items are in the training rows; no average counts them." in text
    assert "train.seed 1 → 2" in text


def test_results_that_changed_take_the_verdict_out_of_the_first_place() -> None:
    data = everything()
    result = data.results["base"]["bbq"]
    results = {
        **data.results,
        "base": {**data.results["base"], "bbq": dataclasses.replace(result, items=result.items[1:])},
    }
    lines = pull_request_markdown(dataclasses.replace(data, results=results)).splitlines()
    assert lines[0] == "# Out of date, was PROMOTE: lora"
    assert lines[2].startswith("The results in evals/base/bbq changed since the decision; run `ratchet stage gate`")


def test_many_suites_with_hostile_names_stay_under_sixty_lines_and_stay_text() -> None:
    from evalsuite.comparison.methods import MethodEvidence, ModelEvidence, compare_methods
    from evalsuite.comparison.rows import MethodChoice
    from evalsuite.gate.decide import decide
    from evalsuite.gate.policy import GatePolicy
    from evalsuite.items.results import EvalReport
    from evalsuite.testing import make_item, make_result

    names = [f"{HOSTILE} {number}" for number in range(40)]
    rules = [
        {"suite": name, "metric": f"m {HOSTILE}", "kind": "guard", "margin": 0.1, "direction": "higher"}
        for name in names
    ]

    def results(model: str, right: int) -> dict[str, object]:
        return {
            name: make_result(
                [make_item(f"i{i}", {f"m {HOSTILE}": float(i < right)}, slices={"s": HOSTILE}) for i in range(40)],
                name,
                model_identity=model,
            )
            for name in names
        }

    every = {"base": results("base", 20), "lora": results("lora", 10)}
    comparison = compare_methods(
        [MethodEvidence("lora", every["lora"], {}, "lora", 1)],  # type: ignore[arg-type]
        [ModelEvidence("base", every["base"], {})],  # type: ignore[arg-type]
        MethodChoice(suite=names[0], metric=f"m {HOSTILE}", margin=0.1, alpha=0.05),
    )
    reports = {
        model: EvalReport(model, model, {name: each.table() for name, each in found.items()}, {})  # type: ignore[attr-defined]
        for model, found in every.items()
    }
    noise = {f"{name}/m {HOSTILE}": 0.5 for name in names}
    policy = GatePolicy.model_validate({"rules": rules, "noise": noise})
    decision = decide(reports["lora"], {"base": reports["base"]}, policy)
    assert len(decision.warnings) > 10
    text = pull_request_markdown(ReportData(decision, comparison, every, base_model=HOSTILE))  # type: ignore[arg-type]
    lines = text.splitlines()
    assert len(lines) < 60
    assert len(text) < 65_536
    assert "and 30 more judged metrics in the report" in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert "https://" not in text
    assert "# d" not in lines
    tables = [line for line in lines if line.startswith("|")]
    columns = {line.replace("\\|", "").count("|") for line in tables}
    assert columns <= {7, 6}, "a pipe in a name ends no cell"


def test_a_run_without_champion_or_parts_is_told_too(make: Make) -> None:
    text = pull_request_markdown(make(training={}, plans={}, params={}), report="elsewhere/page.html")
    assert "Report: elsewhere/page.html; decision" in text
    assert "champion" not in text
