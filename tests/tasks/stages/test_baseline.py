"""The champion that a run is judged against."""

import shutil
from pathlib import Path

import pytest

from tasks.config.params import DECIDING, load_params
from tasks.installed.code import write_code
from tasks.installed.pipeline import pipeline_text
from tasks.paths import ArtifactPaths
from tasks.pin import read_pin
from tasks.registry.champion import write_champion
from tasks.registry.ledger import Event
from tasks.stages.baseline import describe, inputs_sha256, run
from tests.tasks.registry.ledger_entries import add

ROOT = Path(__file__).parents[3]


@pytest.fixture
def paths(tmp_path: Path) -> ArtifactPaths:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for folder in ("data/raw", "data/suites", "golden_sets/g", "tasks", "evalsuite"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file.py").write_text("x = 1\n")
    (tmp_path / "evalsuite/report.html.jinja").write_text("x\n")
    return ArtifactPaths(tmp_path)


def pinned(paths: ArtifactPaths) -> str | None:
    run(load_params(paths.params), paths)
    champion = read_pin(paths).champion
    return champion.identity[0] if champion else None


def test_before_the_first_promotion_the_pin_is_empty(paths: ArtifactPaths) -> None:
    assert pinned(paths) is None
    assert describe(paths) == "judged against the base model alone: there is no champion"


def test_the_present_champion_is_pinned(paths: ArtifactPaths) -> None:
    add(paths.root, Event.PROMOTE, "a")
    write_champion(paths)
    assert pinned(paths) == "a"


def test_a_champion_from_these_very_inputs_leaves_its_predecessor_pinned(paths: ArtifactPaths) -> None:
    inputs = inputs_sha256(load_params(paths.params), paths.root)
    add(paths.root, Event.PROMOTE, "a", inputs="other")
    add(paths.root, Event.PROMOTE, "b", replaced="a", inputs=inputs)
    write_champion(paths)
    assert pinned(paths) == "a"
    assert describe(paths).startswith(f"judged against champion {'a' * 16}: the present one, {'b' * 16}, came from")
    (paths.root / "data/raw/file.py").write_text("x = 2\n")
    assert pinned(paths) == "b"
    assert describe(paths) == f"judged against champion {'b' * 16}"


def test_a_first_champion_from_these_very_inputs_is_named_and_leaves_the_base_alone(paths: ArtifactPaths) -> None:
    inputs = inputs_sha256(load_params(paths.params), paths.root)
    add(paths.root, Event.PROMOTE, "a", inputs=inputs)
    write_champion(paths)
    assert pinned(paths) is None
    assert f"the champion {'a' * 16} came from these very inputs" in describe(paths)


def test_a_retired_champion_is_no_baseline(paths: ArtifactPaths) -> None:
    add(paths.root, Event.PROMOTE, "a", inputs="other")
    add(paths.root, Event.RETIRE, "a", replaced="a")
    write_champion(paths)
    assert pinned(paths) is None


def test_after_a_rollback_the_champion_that_is_back_is_pinned(paths: ArtifactPaths) -> None:
    inputs = inputs_sha256(load_params(paths.params), paths.root)
    add(paths.root, Event.PROMOTE, "a", inputs="other")
    add(paths.root, Event.PROMOTE, "b", replaced="a", inputs=inputs)
    add(paths.root, Event.ROLLBACK, "a", replaced="b")
    write_champion(paths)
    assert pinned(paths) == "a"


@pytest.mark.parametrize(
    "name",
    ["data/raw/file.py", "golden_sets/g/file.py", "tasks/file.py", "evalsuite/file.py", "evalsuite/report.html.jinja"],
)
def test_one_changed_byte_changes_the_inputs(paths: ArtifactPaths, name: str) -> None:
    params = load_params(paths.params)
    before = inputs_sha256(params, paths.root)
    (paths.root / name).write_text("x = 3\n")
    assert inputs_sha256(params, paths.root) != before


def test_what_does_not_decide_does_not_change_the_inputs(paths: ArtifactPaths) -> None:
    params = load_params(paths.params)
    before = inputs_sha256(params, paths.root)
    (paths.root / "tasks/__pycache__").mkdir()
    (paths.root / "tasks/__pycache__/file.pyc").write_bytes(b"x")
    schedule = params.schedule.model_copy(update={"cron": "1 1 * * *"})
    assert inputs_sha256(params.model_copy(update={"schedule": schedule}), paths.root) == before


def test_the_pin_keeps_the_params_that_its_hash_of_the_inputs_covers(paths: ArtifactPaths) -> None:
    params = load_params(paths.params)
    run(params, paths)
    kept = read_pin(paths).params
    assert kept is not None
    assert set(kept) == set(DECIDING)
    assert kept["train"]["seed"] == params.train.seed
    assert kept == params.model_dump(mode="json", include=set(DECIDING))


def test_in_a_project_without_sources_the_hashes_of_the_code_decide_and_a_folder_tasks_does_not(
    paths: ArtifactPaths,
) -> None:
    params = load_params(paths.params)
    paths.pipeline.write_text(pipeline_text())
    write_code(paths)
    before = inputs_sha256(params, paths.root)
    (paths.root / "tasks/file.py").write_text("x = 3\n")
    assert inputs_sha256(params, paths.root) == before
    paths.code("train").write_text('{"schema_version": 1, "sha256": "of another version"}')
    assert inputs_sha256(params, paths.root) != before
