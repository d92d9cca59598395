"""Item results: nothing unscored becomes a number."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import read_json, write_json
from evalsuite.items.results import (
    ItemResult,
    SuiteInfo,
    SuiteResult,
    items_sha256,
    read_report,
    read_result,
    summarise,
)


def item(number: int, score: float | None, **fields: object) -> ItemResult:
    return ItemResult.model_validate(
        {
            "item_id": f"i{number}",
            "item_hash": f"h{number}",
            "metrics": ("exact",),
            "scores": {} if score is None else {"exact": score},
            "unscored": "judge gave no answer" if score is None else None,
            **fields,
        }
    )


def result(items: tuple[ItemResult, ...], identity: str = "m") -> SuiteResult:
    info = SuiteInfo(suite="golden", suite_version="1", items_sha256=items_sha256(items), model_identity=identity)
    return SuiteResult(info=info, items=items, seconds=1.5)


def test_results_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    items = (item(0, 1.0, slices={"queue": "a"}, output="<b>\u202e\n", references=("r",)), item(1, None))
    written = result(items)
    written.write(tmp_path)
    assert read_result(tmp_path) == written


def test_an_unscored_item_is_counted_and_never_a_zero() -> None:
    summary = summarise("exact", (item(0, 1.0), item(1, None), item(2, 1.0)))
    assert (summary.mean, summary.n, summary.unscored) == (1.0, 2, 1)
    assert math.isnan(result((item(0, None),)).table().scores["exact"][0])


def test_a_mean_of_nothing_is_absent() -> None:
    summary = summarise("exact", (item(0, None),))
    assert (summary.mean, summary.stderr, summary.n) == (None, None, 0)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_mean_and_standard_error_agree_with_numpy(values: list[float]) -> None:
    summary = summarise("exact", tuple(item(number, value) for number, value in enumerate(values)))
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.stderr == pytest.approx(np.std(values, ddof=1) / math.sqrt(len(values)), abs=1e-12)


def test_the_same_item_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="item id 'i0' twice"):
        result((item(0, 1.0), item(0, 0.0))).table()


def test_a_nan_score_cannot_enter() -> None:
    with pytest.raises(ValueError, match="finite"):
        item(0, float("nan"))


def as_by_an_earlier_version(folder: Path) -> None:
    """Its summaries do not hold the hash of the file."""
    path = folder / "summary.json"
    write_json(path, {k: v for k, v in read_json(path, "x").items() if k != "items_file_sha256"})


def test_a_changed_byte_in_the_items_is_found_where_parquet_does_not_see_it(tmp_path: Path) -> None:
    result(tuple(item(n, 1.0) for n in range(50))).write(tmp_path)
    path = tmp_path / "items.parquet"
    whole = path.read_bytes()
    assert read_json(tmp_path / "summary.json", "x")["items_file_sha256"] == hashlib.sha256(whole).hexdigest()
    for at in range(0, len(whole), 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(
            UsageError, match=r"items\.parquet is not the file that summary\.json.*again with `ratchet x`"
        ):
            read_result(tmp_path, "ratchet x")
    path.write_bytes(whole)
    assert len(read_result(tmp_path).items) == 50


def test_results_of_a_version_without_the_hash_are_still_read(tmp_path: Path) -> None:
    written = result((item(0, 1.0),))
    written.write(tmp_path)
    as_by_an_earlier_version(tmp_path)
    assert read_result(tmp_path) == written


def test_rows_that_are_not_those_of_the_summary_are_refused(tmp_path: Path) -> None:
    result((item(0, 1.0),)).write(tmp_path / "a")
    result((item(1, 1.0),)).write(tmp_path / "b")
    (tmp_path / "a" / "items.parquet").write_bytes((tmp_path / "b" / "items.parquet").read_bytes())
    as_by_an_earlier_version(tmp_path / "a")
    with pytest.raises(UsageError, match="does not hold the items"):
        read_result(tmp_path / "a")


def test_an_evaluation_of_other_bytes_is_refused(tmp_path: Path) -> None:
    result((item(0, 1.0),), identity="a" * 64).write(tmp_path / "golden")
    with pytest.raises(UsageError, match="was evaluated on model aaaaaaaaaaaa, not on bbbbbbbbbbbb"):
        read_report("full", tmp_path, "b" * 64, {}, "ratchet run")


def test_an_absent_evaluation_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match="ratchet run"):
        read_report("full", tmp_path, "b" * 64, {}, "ratchet run")


def test_items_that_are_gone_name_the_command(tmp_path: Path) -> None:
    result((item(0, 1.0),)).write(tmp_path)
    (tmp_path / "items.parquet").unlink()
    with pytest.raises(MissingArtifactError, match=r"no item results at .*items\.parquet; make them with `ratchet x`"):
        read_result(tmp_path, "ratchet x")


def test_a_file_that_is_not_parquet_is_one_clear_error(tmp_path: Path) -> None:
    result((item(0, 1.0),)).write(tmp_path)
    (tmp_path / "items.parquet").write_text("no")
    as_by_an_earlier_version(tmp_path)
    with pytest.raises(UsageError, match="not a parquet file"):
        read_result(tmp_path)


def counted(number: int, right: float | None, out_of: float | None) -> ItemResult:
    return item(number, right, denominators={} if out_of is None else {"exact": out_of})


def test_a_ratio_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    written = result((counted(0, 1.0, 2.0), counted(1, 0.0, 0.0), counted(2, None, None)))
    written.write(tmp_path)
    assert read_result(tmp_path) == written
    assert written.table().denominators["exact"][:2].tolist() == [2.0, 0.0]


def test_results_of_schema_version_1_are_read_as_means(tmp_path: Path) -> None:
    written = result((item(0, 1.0), item(1, 0.0)))
    written.write(tmp_path)
    table = pq.read_table(tmp_path / "items.parquet").drop_columns(["denominators"])
    pq.write_table(table.replace_schema_metadata({"schema_version": "1"}), tmp_path / "items.parquet")
    as_by_an_earlier_version(tmp_path)
    assert read_result(tmp_path) == written


@pytest.mark.parametrize("version", ["2", "3"])
def test_a_version_that_does_not_fit_is_refused(tmp_path: Path, version: str) -> None:
    result((item(0, 1.0),)).write(tmp_path)
    table = pq.read_table(tmp_path / "items.parquet").drop_columns(["denominators"])
    pq.write_table(table.replace_schema_metadata({"schema_version": version}), tmp_path / "items.parquet")
    as_by_an_earlier_version(tmp_path)
    with pytest.raises(UsageError, match=r"schema_version 3, this version reads 1 and 2|not item results"):
        read_result(tmp_path)


def test_a_ratio_s_value_is_the_ratio_of_sums_with_the_jackknife_s_error() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 4, 200).astype(float)
    right = rng.binomial(weights.astype(int), 0.6).astype(float)
    summary = summarise("exact", tuple(counted(i, *pair) for i, pair in enumerate(zip(right, weights, strict=True))))
    left_out = (right.sum() - right) / (weights.sum() - weights)
    assert summary.mean == pytest.approx(right.sum() / weights.sum())
    assert summary.stderr == pytest.approx(math.sqrt(199 / 200 * ((left_out - left_out.mean()) ** 2).sum()), rel=0.02)
    assert summary.denominator == weights.sum()


def test_an_item_of_a_ratio_without_its_denominator_is_unscored() -> None:
    summary = summarise("exact", (counted(0, 1.0, 2.0), counted(1, 1.0, None), counted(2, None, 3.0)))
    assert (summary.mean, summary.n, summary.unscored) == (0.5, 1, 2)


def test_a_ratio_of_nothing_to_count_has_no_value() -> None:
    summary = summarise("exact", (counted(0, 0.0, 0.0), counted(1, 0.0, 0.0)))
    assert (summary.mean, summary.stderr, summary.n, summary.denominator) == (None, None, 2, 0.0)


def test_a_negative_denominator_or_one_of_another_metric_is_refused() -> None:
    with pytest.raises(ValueError, match=r"denominator -1\.0 for metric 'exact'; expected 0 or more"):
        counted(0, 1.0, -1.0)
    with pytest.raises(ValueError, match="metric 'f1'"):
        item(0, 1.0, denominators={"f1": 1.0})
