import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evalsuite.comparison.rows import read_comparison
from evalsuite.contamination.overlap import ContaminationReport, ItemFinding, SuiteFinding
from evalsuite.core.errors import MissingArtifactError, NotComparableError, UsageError
from evalsuite.core.files import write_json
from evalsuite.items.results import ItemResult, SuiteInfo, SuiteResult, items_sha256
from tasks.config.compare import CompareParams
from tasks.config.hardware import HardwareParams
from tasks.paths import ArtifactPaths
from tasks.stage import main as stage_main
from tasks.stages import compare

COMPARE = CompareParams(suite="golden", metric="json_fields", margin=0.05)
HARDWARE = HardwareParams(price_per_hour=3.6, currency="EUR")
METHODS = ("full", "qlora")


def _evaluate(paths: ArtifactPaths, model: str, right: int, **info: Any) -> None:
    items = tuple(
        ItemResult(
            item_id=f"i{i}", item_hash=f"h{i}", metrics=("json_fields",), scores={"json_fields": float(i < right)}
        )
        for i in range(400)
    )
    measured = {"suite": "golden", "suite_version": "1", "items_sha256": items_sha256(items), **info}
    suite_info = SuiteInfo.model_validate({**measured, "model_identity": f"identity-{model}"})
    SuiteResult(info=suite_info, items=items, seconds=1.0).write(paths.evals(model) / "golden")


def _train_log(model: str, **fields: Any) -> dict[str, Any]:
    return {
        "schema_version": 1, "method": model, "kind": model, "config": {}, "steps": [], "epochs": [],
        "selected_epoch": 2, "selected_because": "best", "num_examples": 9, "num_tokens": 99,
        "trainable_parameters": 1, "total_parameters": 10, "train_seconds": 59.0, "peak_memory_bytes": 7,
        "adapter_bytes": None, "effective": {}, "merge_max_abs_difference": None, "identity": f"identity-{model}",
        **fields,
    }  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> ArtifactPaths:
    """Two methods of which the cheaper is as good, the base model, and no champion."""
    paths = ArtifactPaths(tmp_path)
    for model, right, seconds in (("full", 360, 59.0), ("qlora", 352, 9.0)):
        _evaluate(paths, model, right)
        costs = {"train_seconds": seconds, "peak_memory_bytes": 7, "adapter_bytes": None, "num_tokens": 99}
        write_json(
            paths.evals(model) / "costs.json", {"schema_version": 1, "eval_seconds": 1.0, "num_bytes": 5, **costs}
        )
        write_json(paths.evals(model) / "train_log.json", _train_log(model))
    _evaluate(paths, "base", 200)
    write_json(paths.evals("champion") / "absent.json", {"schema_version": 1, "reason": "no champion yet"})
    _contaminate(paths, ())
    return paths


def _contaminate(paths: ArtifactPaths, numbers: Sequence[int]) -> None:
    """Say that training rows give these items away."""
    items = tuple(ItemFinding(item_id=f"i{n}", item_hash=f"h{n}", contaminated=True, row="r") for n in numbers)
    suite = SuiteFinding(suite="golden", run_words=8, num_items=400, num_contaminated=len(items), items=items)
    write_json(
        paths.contamination, ContaminationReport(train_sha256="f", num_rows=9, max_fraction=0.2, suites=(suite,))
    )


def test_items_that_training_rows_give_away_do_not_choose_the_candidate(project: ArtifactPaths) -> None:
    _evaluate(project, "qlora", 330)
    assert compare.run(COMPARE, HARDWARE, METHODS, project).candidate == "full"
    # All of full's lead is on items 330 to 359.
    _contaminate(project, range(330, 360))
    found = compare.run(COMPARE, HARDWARE, METHODS, project)
    assert found.candidate == "qlora"
    assert found.chosen_because.endswith("without the items that training rows give away: 30 of golden")
    assert [row.metrics[0].n for row in (*found.methods, *found.baselines)] == [370, 370, 370]
    assert {pair.n for pair in found.pairs} == {370}


def test_nothing_is_compared_before_its_items_were_checked(project: ArtifactPaths) -> None:
    project.contamination.unlink()
    with pytest.raises(MissingArtifactError, match="ratchet stage contamination"):
        compare.run(COMPARE, HARDWARE, METHODS, project)


def test_the_candidate_is_chosen_and_the_comparison_written(project: ArtifactPaths) -> None:
    found = compare.run(COMPARE, HARDWARE, METHODS, project)
    assert found.candidate == "qlora"
    assert "full costs 6.0 times as much" in found.chosen_because
    assert read_comparison(project.comparison) == found
    row = found.method("full")
    assert (row.cost, row.currency, row.num_tokens, row.selected_epoch) == (pytest.approx(0.06), "EUR", 99, 2)
    assert row.adapter_bytes is None
    assert [baseline.name for baseline in found.baselines] == ["base"]


def test_a_champion_is_compared_where_there_is_one(project: ArtifactPaths) -> None:
    (project.evals("champion") / "absent.json").unlink()
    _evaluate(project, "champion", 300)
    found = compare.run(COMPARE, HARDWARE, METHODS, project)
    assert [baseline.name for baseline in found.baselines] == ["base", "champion"]
    assert {("full", "champion"), ("qlora", "champion")} <= {(pair.candidate, pair.baseline) for pair in found.pairs}


@pytest.mark.parametrize(
    ("missing", "stage"),
    [
        ("qlora/golden/summary.json", "evaluate@qlora"),
        ("qlora/train_log.json", "evaluate@qlora"),
        ("base/golden/summary.json", "evaluate_baseline@base"),
        ("champion/absent.json", "evaluate_baseline@champion"),
    ],
)
def test_a_missing_file_names_the_stage_that_makes_it(project: ArtifactPaths, missing: str, stage: str) -> None:
    path = project.root / "evals" / missing
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()
    with pytest.raises(MissingArtifactError, match=f"ratchet stage {stage}"):
        compare.run(COMPARE, HARDWARE, METHODS, project)


def test_methods_measured_differently_are_refused(project: ArtifactPaths) -> None:
    _evaluate(project, "qlora", 352, decoding={"max_new_tokens": 1})
    with pytest.raises(NotComparableError, match="decoding"):
        compare.run(COMPARE, HARDWARE, METHODS, project)
    assert not project.comparison.exists()


def test_results_of_other_bytes_than_training_exported_are_refused(project: ArtifactPaths) -> None:
    write_json(project.evals("qlora") / "train_log.json", _train_log("qlora", identity="another"))
    with pytest.raises(UsageError, match="training exported another"):
        compare.run(COMPARE, HARDWARE, METHODS, project)


def test_a_training_log_of_another_schema_is_refused_by_its_field(project: ArtifactPaths) -> None:
    write_json(project.evals("qlora") / "train_log.json", _train_log("qlora", schema_version=2))
    with pytest.raises(UsageError, match="schema_version"):
        compare.run(COMPARE, HARDWARE, METHODS, project)


def test_the_stage_ends_with_one_line(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = (Path(__file__).parents[3] / "tests/support_params.yaml").read_text(encoding="utf-8")
    monkeypatch.chdir(project.root)
    Path("params.yaml").write_text(params, encoding="utf-8")
    assert stage_main(["compare"]) == 0
    assert capsys.readouterr().out.startswith("candidate: qlora (golden/json_fields: ")
    assert json.loads(Path("reports/comparison.json").read_text(encoding="utf-8"))["schema_version"] == 1


def test_methods_that_differ_in_the_seed_alone_enter_as_the_one_that_dev_items_chose(project: ArtifactPaths) -> None:
    for name, seed, dev in (("full", 7, 0.5), ("qlora", 8, 0.4)):
        golden = {"golden": {"json_fields": dev}, "golden_n": {"json_fields": 9}, "golden_stderr": {}}
        epoch = {
            "epoch": 2,
            "step": 4,
            "checkpoint": "c",
            "train_loss": 1.0,
            "eval_loss": 1.0,
            "seconds": 1.0,
            **golden,
        }
        settings = {"train.seed": seed, "train.select_metric": "json_fields", "train.select_direction": "higher"}
        write_json(project.evals(name) / "train_log.json", _train_log(name, epochs=[epoch], config=settings))
    found = compare.run(COMPARE, HARDWARE, METHODS, project, [METHODS])
    assert found.candidate == "full"
    assert [(each.representative, each.seeds) for each in found.seed_sets] == [("full", (7, 8))]
    assert found.num_candidates == 1
    assert read_comparison(project.comparison) == found
