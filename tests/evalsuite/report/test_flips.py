from typing import Any

from evalsuite.gate.policy import GatePolicy
from evalsuite.items.results import ItemResult, SuiteInfo, SuiteResult, items_sha256
from evalsuite.report.flips import flips_of, unscored_reasons


def suite(scores: list[float | None], metric: str = "exact", **info: Any) -> dict[str, SuiteResult]:
    items = tuple(
        ItemResult(
            item_id=f"i{i:03d}", item_hash=str(i), metrics=(metric,), scores={} if score is None else {metric: score}
        )
        for i, score in enumerate(scores)
    )
    measured = {"suite": "golden", "suite_version": "1", "items_sha256": items_sha256(items), **info}
    return {"golden": SuiteResult(SuiteInfo.model_validate(measured), items, 0.0)}


def policy(metric: str = "exact", direction: str = "higher") -> GatePolicy:
    rule = {"suite": "golden", "metric": metric, "kind": "guard", "margin": 0.1, "direction": direction}
    return GatePolicy.model_validate({"rules": [rule]})


def test_broken_and_fixed_are_told_apart_and_the_worst_leads() -> None:
    (group,) = flips_of(suite([0.0, 1.0, 0.4, 1.0, 0.95]), suite([1.0, 0.0, 0.8, 1.0, 1.0]), "base", policy())
    assert [flip.candidate.item_id for flip in group.broken] == ["i000", "i002"]
    assert [flip.candidate.item_id for flip in group.fixed] == ["i001"]
    assert (group.num_broken, group.num_fixed, group.num_slight, group.num_same) == (2, 1, 1, 1)


def test_a_lost_score_is_broken_and_a_found_one_fixed() -> None:
    (group,) = flips_of(suite([None, 1.0, None]), suite([0.2, None, None]), "base", policy())
    assert [flip.candidate.item_id for flip in group.broken] == ["i000"]
    assert [flip.candidate.item_id for flip in group.fixed] == ["i001"]
    assert group.num_same == 1


def test_where_lower_is_better_a_rise_is_broken() -> None:
    (group,) = flips_of(suite([1.0, 0.0]), suite([0.0, 1.0]), "base", policy(direction="lower"))
    assert [flip.candidate.item_id for flip in group.broken] == ["i000"]


def test_only_metrics_that_a_rule_judges_make_a_flip() -> None:
    (group,) = flips_of(suite([0.0]), suite([1.0]), "base", policy("other"))
    assert group.num_broken == 0


def test_suites_measured_differently_are_not_laid_side_by_side() -> None:
    (group,) = flips_of(suite([0.0]), suite([1.0], prompt_sha256="x"), "base", policy())
    assert group.problem == "prompt_sha256 differs"


def test_the_commonest_reasons_for_a_missing_score_lead() -> None:
    items = [
        ItemResult(item_id=str(i), item_hash="h", metrics=("m",), unscored=why)
        for i, why in enumerate(["a", "b", "b", "c", "d", None])
    ]
    assert unscored_reasons(items) == [("b", 2), ("a", 1), ("c", 1)]


def test_items_of_a_harmful_suite_are_named_and_their_texts_withheld() -> None:
    texts = {"prompt": "HIDDEN", "output": "HIDDEN", "references": ("HIDDEN",), "unscored": "the judge said HIDDEN"}

    def harmful(score: float) -> dict[str, SuiteResult]:
        found = suite([score], suite="harmbench")["golden"]
        items = tuple(item.model_copy(update=texts) for item in found.items)
        return {"harmbench": SuiteResult(found.info, items, 0.0)}

    rule = {"suite": "harmbench", "metric": "exact", "kind": "guard", "margin": 0.1, "direction": "lower"}
    (group,) = flips_of(harmful(1.0), harmful(0.0), "base", GatePolicy.model_validate({"rules": [rule]}))

    assert group.num_broken == 1
    assert "i000" in group.broken[0].candidate.prompt
    assert "HIDDEN" not in repr(group)
