import dataclasses

from evalsuite.gate.replay import DataCounts
from evalsuite.report.facts.prepared import count_changes, funnel_of, prepared_of
from tests.evalsuite.report.everything import COUNTS, everything


def test_the_funnel_ends_at_the_training_rows_and_loses_none_unseen() -> None:
    rows = funnel_of(DataCounts.model_validate(COUNTS))
    assert [(row.step, row.rows, row.lost) for row in rows] == [
        ("read", 1200, 0),
        ("could be parsed", 1188, 12),
        ("duplicates", 958, 230),
        ("length", 928, 30),
        ("train, without dev", 858, 70),
    ]
    assert rows[0].rows - sum(row.lost for row in rows) == rows[-1].rows
    assert rows[-1].percent == 71.5


def test_a_report_of_an_earlier_version_without_steps_still_has_its_funnel() -> None:
    old = {key: value for key, value in COUNTS.items() if key != "steps"}
    rows = funnel_of(DataCounts.model_validate(old))
    assert [(row.step, row.rows) for row in rows] == [
        ("read", 1200), ("could be parsed", 1188), ("kept", 928), ("train, without dev", 858),
    ]  # fmt: skip


def test_no_row_at_all_is_no_division() -> None:
    counts = DataCounts.model_validate({"rows_read": 0, "splits": {}})
    assert [row.percent for row in funnel_of(counts)] == [0.0, 0.0, 0.0]


def test_counts_and_sources_that_differ_from_the_champions_are_named() -> None:
    found = prepared_of(everything())
    assert found is not None
    assert found.since_champion is not None
    changes = {each.name: (each.before, each.after) for each in found.since_champion}
    assert changes == {
        "rows read": (1000, 1200),
        "dropped: near duplicate": (None, 230),
        "dropped: too long": (None, 30),
    }
    assert [(each.source, each.change) for each in found.sources] == [
        ("a.jsonl", "changed"),
        ("b.jsonl", "added"),
        ("c.jsonl", "removed"),
    ]


def test_equal_data_has_no_difference() -> None:
    counts = DataCounts.model_validate(COUNTS)
    assert count_changes(counts, counts) == ()


def test_what_cannot_be_compared_says_why() -> None:
    data = everything()
    unrecorded = prepared_of(dataclasses.replace(data, champion_inputs=None))
    assert unrecorded is not None
    assert unrecorded.since_champion is None
    assert unrecorded.note == "The champion's data: not recorded by the run that promoted it."
    decision = data.decision.model_copy(update={"baselines": {"base": "b"}})
    alone = prepared_of(dataclasses.replace(data, champion_inputs=None, decision=decision))
    assert alone is not None
    assert alone.note == "There is no champion to compare the data with."
    assert prepared_of(dataclasses.replace(data, data_counts=None)) is None
