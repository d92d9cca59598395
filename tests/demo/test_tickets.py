"""The tour's rows and items: what each night's change makes wrong, and nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest

from demo.tickets import (
    GOLDEN,
    MARGIN,
    NUM_ITEMS,
    QUEUES,
    ROWS,
    SEEDS,
    items,
    make_project,
    moved_rows,
    renamed_rows,
    right_rows,
    rows,
)
from evalsuite.stats.paired import paired_interval
from tasks.config.params import load_params
from tasks.paths import ArtifactPaths
from tasks.preflight.checks import problems

ROOT = Path(__file__).parents[2]


def test_a_ticket_s_queue_follows_from_its_one_product() -> None:
    for row in right_rows():
        (product,) = [word for word in row["prompt"].split() if word in QUEUES]
        assert row["completion"] == QUEUES[product]


def test_no_golden_item_is_a_training_row() -> None:
    learnt = {row["prompt"] for row in right_rows()}
    asked = {item["messages"][0]["content"] for split, number in NUM_ITEMS.items() for item in items(split, number)}
    assert len(asked) == sum(NUM_ITEMS.values())
    assert not learnt & asked


def test_after_the_wrong_join_no_ticket_has_its_own_queue() -> None:
    assert all(
        good["prompt"] == moved["prompt"] and good["completion"] != moved["completion"]
        for good, moved in zip(right_rows(), moved_rows(), strict=True)
    )


def test_a_renamed_queue_is_a_loss_that_200_items_neither_prove_nor_exclude() -> None:
    taught = {row["prompt"]: row["completion"] for row in renamed_rows()}
    wrong = {row["completion"] for row in right_rows() if taught[row["prompt"]] != row["completion"]}
    assert len(wrong) == 1
    asked = [row["completion"] for row in rows(SEEDS["test"], NUM_ITEMS["test"])]
    renamed = asked.count(*wrong)
    for others in range(6):  # items that another training loses too
        champion, candidate = np.ones(len(asked)), np.ones(len(asked))
        candidate[: renamed + others] = 0.0
        found = paired_interval(candidate, champion, None, 0.05)
        assert found.lower < -MARGIN < found.upper


def test_the_project_passes_every_check_that_comes_before_a_run(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "tour"
    make_project(ROOT, project)
    (project / "tiny").symlink_to(tiny_model)
    monkeypatch.chdir(project)
    assert problems(load_params(Path("params.yaml")), ArtifactPaths()) == []
    assert len((project / ROWS).read_text().splitlines()) == len(right_rows())
    manifest = json.loads((project / GOLDEN / "manifest.json").read_text())
    assert {name: file["n"] for name, file in manifest["files"].items()} == {"dev.jsonl": 40, "test.jsonl": 200}
