"""At 80 columns no table is wider, and nothing in it is cut: an identity or a verdict can be read and copied."""

from collections.abc import Callable
from pathlib import Path

import pytest

from evalsuite.gate_tools.noise import MetricNoise, Noise
from evalsuite.gate_tools.power import RulePower, Scenario
from evalsuite.gate_tools.simulate import RuleResult, Setting, Simulation
from flows.cli.views.console import console, table
from flows.cli.views.gate import show_noise, show_power, show_simulation
from flows.cli.views.history import show_history
from flows.cli.views.project import show_pending
from tasks.paths import ArtifactPaths
from tasks.pipeline.runner import Pending
from tasks.registry.ledger import Entry, Event

NAME = "golden/exact_match_of_json_fields:guard:champion"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What was printed where there are 80 columns."""
    monkeypatch.setattr("flows.cli.views.console.PIPE_COLUMNS", 80)
    parts: list[str] = []

    def text() -> str:
        parts.append(capsys.readouterr().out)
        return "".join(parts)

    return text


def joined(text: str) -> str:
    assert "\u2026" not in text
    return "".join(text.split())


def test_a_long_name_is_folded_and_not_cut(shown: Callable[[], str]) -> None:
    found = table("rule", *"abcdefg", right="abcdefg")
    found.add_row(NAME, *["12,345,678"] * 7)
    console().print(found)
    assert max(map(len, shown().splitlines())) <= 80
    assert shown().count("12,345") == 7
    assert "golden/" in shown()
    joined(shown())


def test_the_simulated_rules_keep_their_names(shown: Callable[[], str]) -> None:
    rule = RuleResult(0.01, 0.03, 0.3, 0.2, 1234.0, 12000.0, 5000.0, (10.0, 1000.0, 12000.0))
    setting = Setting(0.02, 0.05, 0.06, None, 2, 0)
    show_simulation(Simulation(setting, 12032, 188, {"ratchet_sequential": rule}, rule, rule, 1.2))
    assert shown().count("ratchet_sequential") == 2
    assert "worse promoted" in shown()
    assert "10% / 50% / 90%" in shown()
    joined(shown())


def test_a_metric_of_the_noise_keeps_its_name(shown: Callable[[], str]) -> None:
    one = MetricNoise(
        suite="golden", metric="exact_match_of_json_fields", n=12345, unscored=0, values=(0.91, 0.9, 0.8),
        largest_difference=0.1, flip_fraction=0.1, floor=0.1234,
    )  # fmt: skip
    show_noise(Noise(identity="a" * 64, num_repeats=3, metrics=(one,)))
    joined(shown())


def test_the_power_of_a_rule_keeps_its_name(shown: Callable[[], str]) -> None:
    scenario = Scenario(
        name="no change", difference=0.0, passes=0.8, fails=0.1, items=12345, hours=1.25, sequential_items=900.0,
        sequential_hours=0.3,
    )  # fmt: skip
    rule = RulePower(
        rule=NAME, n=12345, alpha=0.05, limit=-0.02, basis="recorded results", passes_at={"0.8": 0.01, "0.95": 0.02},
        fails_at={"0.8": -0.05, "0.95": -0.06}, scenarios=(scenario,), slices=None, weak=False, remedy=None,
    )  # fmt: skip
    show_power([rule], [])
    assert shown().count("12,345") == 2
    joined(shown())


def test_pending_stages_keep_their_names(shown: Callable[[], str]) -> None:
    show_pending([Pending("evaluate_baseline@champion", "modified evalsuite/engines and 12 more " * 3)])
    assert "evaluate_baseline@champion" in shown()
    assert max(map(len, shown().splitlines())) <= 80


@pytest.mark.parametrize("columns", [80, 200])
def test_the_history_shows_identities_and_verdicts_that_can_be_copied(
    shown: Callable[[], str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    entry = Entry.model_construct(
        sequence=12, recorded_at="2026-11-30T05:25:00Z", event=Event.VERDICT, verdict="INCONCLUSIVE",
        candidate="qlora_rank_64", identity="a1" * 32, decision_id="b2" * 32, actor="somebody.longname", override=None,
        reason="a reason that goes on",
    )  # fmt: skip
    monkeypatch.setattr("flows.cli.views.console.PIPE_COLUMNS", columns)
    monkeypatch.setattr("tasks.registry.ledger.read_ledger", lambda _: [entry])
    show_history(ArtifactPaths(Path()), as_json=False)
    for text in ("INCONCLUSIVE", "a1" * 6, "b2" * 6, "qlora_rank_64", "somebody.longname", "a reason that goes on"):
        assert text in shown()
