"""What a run with nothing to do says that it compared."""

from pathlib import Path

from evalsuite.core.files import write_json
from tasks.pipeline.compared import compared_inputs

LOCK = """
schema: '2.0'
stages:
  prepare:
    cmd: x
    deps:
    - {path: data/raw, md5: 0c9627f4ed82bb75b135a445a45e5afb.dir}
    - {path: tasks/stages/prepare.py, md5: aaaa}
    params: {params.yaml: {prepare: {seed: SEED}}}
    outs: [{path: data/prepared, md5: bbbb}]
  train:
    cmd: x
    deps:
    - {path: data/prepared, md5: bbbb}
    - {path: data/prepared/train.jsonl, md5: cccc}
    - {path: tasks/training, md5: dddd}
    params: {params.yaml: {prepare: {seed: SEED}, train: {batch_size: 4}}}
"""


def sentence(root: Path, seed: int) -> str:
    (root / "dvc.lock").write_text(LOCK.replace("SEED", str(seed)))
    return compared_inputs(root)


def test_inputs_are_named_with_their_hashes_and_what_a_stage_made_is_not(tmp_path: Path) -> None:
    write_json(tmp_path / "plans/inputs/fetch.json", {"schema_version": 1, "inputs": {"model.id": "sha256 1f2e3d4c5b"}})
    said = sentence(tmp_path, 1)
    assert said.startswith("compared data/raw 0c9627f4, model.id 1f2e3d4c, 2 sections of params.yaml ")
    assert "2 files and folders of code " in said
    assert "prepared" not in said


def test_another_setting_has_another_hash(tmp_path: Path) -> None:
    assert sentence(tmp_path, 1) != sentence(tmp_path, 2)


def test_a_project_that_never_ran_compared_nothing(tmp_path: Path) -> None:
    assert "0 sections of params.yaml" in compared_inputs(tmp_path)
