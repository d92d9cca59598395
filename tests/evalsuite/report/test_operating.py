from evalsuite.gate.characteristic import OperatingPoint, SelfTest
from evalsuite.gate.decide import decide
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.selftest import with_self_test
from evalsuite.items.results import EvalReport
from evalsuite.report.build import build_html
from evalsuite.report.operating import operating_chart
from tests.evalsuite.report.conftest import Make, suite

GUARD = {"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.05}]}
TARGET = {"rules": [{"suite": "golden", "metric": "exact", "kind": "target", "min_gain": 0.05}]}
POINTS = (
    OperatingPoint(change=-2.0, promote=0.0, reject=0.9, inconclusive=0.1),
    OperatingPoint(change=-1.0, promote=0.03, reject=0.02, inconclusive=0.95),
    OperatingPoint(change=0.0, promote=0.75, reject=0.0, inconclusive=0.25),
)


def with_points(points: tuple[OperatingPoint, ...]) -> SelfTest:
    return SelfTest(unchanged=(), damaged=(), points=points, rules=(), num_draws=100, num_items={}, notes=())


def test_the_sentence_says_what_the_points_say() -> None:
    chart = operating_chart(with_points(POINTS), GatePolicy.model_validate(GUARD))
    assert chart is not None
    assert chart.sentence == (
        "Of 100 candidates that had truly lost exactly one margin everywhere, about 3 would be promoted; of 100 that "
        "had lost two margins, about 90 would be rejected; of 100 that had not changed at all, about 75 would be "
        "promoted, 0 rejected and 25 left undecided."
    )
    of_target = operating_chart(with_points(POINTS), GatePolicy.model_validate(TARGET))
    assert of_target is not None
    assert "asks for a gain" in of_target.sentence


def test_the_curves_run_from_the_worst_change_on_the_left_and_from_certainty_at_the_top() -> None:
    chart = operating_chart(with_points(POINTS), GatePolicy.model_validate(GUARD))
    assert chart is not None
    assert chart.marks["promote"] == ((0.0, 100.0), (50.0, 97.0), (100.0, 25.0))
    assert chart.lines["reject"] == "0.0,10.0 50.0,98.0 100.0,100.0"
    assert chart.margin == 50.0


def test_nothing_simulated_gives_no_chart() -> None:
    assert operating_chart(None, GatePolicy.model_validate(GUARD)) is None
    assert operating_chart(with_points(()), GatePolicy.model_validate(GUARD)) is None


def test_the_report_shows_the_characteristic_and_the_items_that_would_decide(make: Make) -> None:
    data = make(right=205, policy={**GUARD, "alpha": 0.1})
    reports = {
        name: EvalReport(name, f"identity-{name}", {"golden": suite(name, right, 400, {}).table()}, {})
        for name, right in (("base", 200), ("full", 192))
    }
    policy = GatePolicy.model_validate({"rules": [{**GUARD["rules"][0], "margin": 0.03}], "alpha": 0.05})
    decision = decide(reports["full"], {"base": reports["base"]}, policy)
    found = with_self_test(decision, reports["full"], {"base": reports["base"]})
    assert found.verdict == "INCONCLUSIVE"
    html = build_html(type(data)(decision=found, comparison=data.comparison, results=data.results))
    assert "How often this policy is right on these items" in html
    assert "Of 100 candidates that had truly lost exactly one margin" in html
    assert "base against itself under 1 guard: not rejected" in html
    more = found.reasons[0].more_items
    assert more is not None
    assert f'<td class="num">{more:,}</td></tr>' in html
