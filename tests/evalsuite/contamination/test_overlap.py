"""What the gate makes of a report on contamination."""

from collections.abc import Sequence

import pytest

from evalsuite.contamination.overlap import ContaminationReport, ItemFinding, clean_report
from evalsuite.core.errors import UsageError
from evalsuite.items.results import EvalReport, ItemResult, SuiteInfo, items_sha256, table_of


def item(prompt: str, name: str = "i") -> ItemResult:
    return ItemResult(item_id=name, item_hash=f"h-{name}", metrics=("exact",), scores={"exact": 1.0}, prompt=prompt)


def report(model: str, names: Sequence[str]) -> EvalReport:
    items = [item("", name) for name in names]
    info = SuiteInfo(suite="s", suite_version="1", items_sha256=items_sha256(items))
    return EvalReport(model=model, identity=model, suites={"s": table_of(info, items)}, costs={})


def contaminated(*names: str, num_items: int = 10, max_fraction: float = 0.5) -> ContaminationReport:
    found = [ItemFinding(item_id=n, item_hash=f"h-{n}", contaminated=True, how=("same text",), row="r") for n in names]
    suite = {"suite": "s", "run_words": 13, "num_items": num_items, "num_contaminated": len(found), "items": found}
    return ContaminationReport.model_validate(
        {"train_sha256": "0", "num_rows": 1, "max_fraction": max_fraction, "suites": [suite]}
    )


def test_contaminated_items_leave_every_column() -> None:
    clean = clean_report(report("m", ["a", "b", "c"]), contaminated("b")).suites["s"]
    assert clean.item_ids == ("a", "c")
    assert {len(column) for column in (clean.scores["exact"], clean.applies["exact"], clean.clusters)} == {2}


def test_an_item_that_was_not_evaluated_is_no_error() -> None:
    assert clean_report(report("m", ["a"]), contaminated("b")).suites["s"].item_ids == ("a",)


def test_another_item_under_the_same_name_is_refused() -> None:
    found = contaminated("a")
    changed = found.suites[0].items[0].model_copy(update={"item_hash": "other"})
    other = found.model_copy(update={"suites": (found.suites[0].model_copy(update={"items": (changed,)}),)})
    with pytest.raises(UsageError, match="'a' is not the one that was checked"):
        clean_report(report("m", ["a"]), other)


def test_a_suite_that_was_not_checked_is_refused() -> None:
    found = contaminated().model_copy(update={"suites": ()})
    with pytest.raises(UsageError, match="'s' was not checked for contamination"):
        clean_report(report("m", ["a"]), found)


def test_over_the_limit_the_gate_refuses_and_names_item_and_row() -> None:
    contaminated("a", "b", num_items=20, max_fraction=0.1).check_limit()
    with pytest.raises(UsageError, match=r"3 of 20 s items .*15\.0%.*allows 10\.0%.*'a' \(same text, row r\)"):
        contaminated("a", "b", "c", num_items=20, max_fraction=0.1).check_limit()
