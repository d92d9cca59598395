"""Which installed code a stage runs, and what an upgrade makes run again."""

import shutil
from pathlib import Path

import pytest

from evalsuite.core.imports import ROOT, sources_of
from tasks.installed.code import changed_code, code_sha256, shipped_stages, watched_stages, write_code
from tasks.installed.pipeline import pipeline_text
from tasks.paths import ArtifactPaths

CHANGES = {
    "evalsuite/report/sentences.py": {"report", "baseline"},
    "evalsuite/report/templates/promotion.html.jinja": {"report", "baseline"},
    "tasks/data/decontaminate.py": {"prepare", "baseline"},
    "tasks/training/optim/loss.py": {"train", "baseline"},
    "tasks/preflight/checks.py": {"baseline"},
    "evalsuite/judges/weights/refusal.safetensors": {"train", "evaluate", "evaluate_baseline", "baseline"},
}
"""File -> the stages that an upgrade of it alone runs; `baseline` pins the champion again, in a second."""
STAGES = set(shipped_stages()) - {"inputs"}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two packages as an index would install them."""
    root = tmp_path_factory.mktemp("site-packages")
    for name in ("tasks", "evalsuite"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.mark.parametrize("changed", CHANGES)
def test_an_upgrade_of_one_file_changes_the_hash_of_the_stages_that_run_it(packages: Path, changed: str) -> None:
    path, before = packages / changed, {stage: code_sha256(stage, packages) for stage in STAGES}
    good = path.read_bytes()
    code_sha256.cache_clear()
    path.write_bytes(good + b"\n# newer\n")
    try:
        assert {stage for stage in STAGES if code_sha256(stage, packages) != before[stage]} == CHANGES[changed]
    finally:
        path.write_bytes(good)
        code_sha256.cache_clear()
    assert {stage: code_sha256(stage, packages) for stage in STAGES} == before


def test_the_hash_is_the_same_wherever_the_packages_lie_and_whatever_the_line_ends(packages: Path) -> None:
    (packages / "tasks/__pycache__").mkdir()
    (packages / "tasks/__pycache__/stage.cpython-311.pyc").write_bytes(b"compiled")
    path = packages / "tasks/stages/gate.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert {stage: code_sha256(stage, packages) for stage in STAGES} == {stage: code_sha256(stage) for stage in STAGES}


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_every_file_that_a_stage_can_run_is_in_its_hash(stage: str) -> None:
    named = [ROOT / each for each in shipped_stages()[stage]["deps"]]
    for path in sources_of(f"tasks.stages.{stage}"):
        assert any(path == each or each in path.parents for each in named), path


def test_a_project_watches_the_code_of_each_stage_by_its_hash(tmp_path: Path) -> None:
    paths = ArtifactPaths(tmp_path)
    paths.pipeline.write_text(pipeline_text())
    assert set(watched_stages(paths)) == STAGES
    assert {Path(path).stem for path in changed_code(paths)} == STAGES
    write_code(paths)
    assert changed_code(paths) == {}
    paths.code("train").write_text('{"schema_version": 1, "sha256": "an older one"}')
    assert changed_code(paths) == {".ratchet/code/train.json": "the installed Ratchet has other code for it"}
    untouched = paths.code("gate").stat().st_mtime_ns
    write_code(paths)
    assert changed_code(paths) == {}
    assert paths.code("gate").stat().st_mtime_ns == untouched


def test_this_repository_watches_its_files_and_writes_no_hashes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    for root in (tmp_path, tmp_path / "no/project"):
        assert watched_stages(ArtifactPaths(root)) == ()
        assert changed_code(ArtifactPaths(root)) == {}
        write_code(ArtifactPaths(root))
    assert not (tmp_path / ".ratchet").exists()
