"""Complete or absent."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from evalsuite.core.errors import StageError, UsageError
from tasks.training.state.checkpoints import (
    check_disk,
    checkpoint_bytes,
    complete_checkpoints,
    drop_resume_state,
    is_resumable,
    mark_complete,
    most_checkpoints,
    open_root,
    prune,
    read_records,
    write_record,
)
from tasks.training.state.clock import Clock
from tasks.training.state.log import EpochRecord
from tasks.training.state.outcome import OUTCOME, read_outcome
from tests.tasks.training.records import epoch


def write(root: Path, record: EpochRecord, complete: bool = True) -> Path:
    folder = root / record.checkpoint
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    if complete:
        mark_complete(folder, record)
    return folder


def test_only_complete_checkpoints_exist_oldest_first(tmp_path: Path) -> None:
    write(tmp_path, epoch(10, 0.1))
    write(tmp_path, epoch(2, 0.1))
    write(tmp_path, epoch(3, 0.1), complete=False)
    assert [record.epoch for _, record in complete_checkpoints(tmp_path)] == [2, 10]


def test_a_checkpoint_whose_file_was_cut_does_not_count(tmp_path: Path) -> None:
    (write(tmp_path, epoch(1, 0.1)) / "model.safetensors").write_bytes(b"wei")
    assert complete_checkpoints(tmp_path) == []


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"sizes": 1, "record": null}', '{"sizes": {}, "record": {}}'])
def test_a_checkpoint_whose_own_record_is_damaged_does_not_count(tmp_path: Path, text: str) -> None:
    write(tmp_path, epoch(1, 0.1))
    (write(tmp_path, epoch(2, 0.1)) / "complete.json").write_text(text)
    assert [record.epoch for _, record in complete_checkpoints(tmp_path)] == [1]


def test_a_damaged_file_beside_the_checkpoints_is_named_with_the_command_that_goes_on_without_it(
    tmp_path: Path,
) -> None:
    root = tmp_path / "full"
    open_root(root, {"data": "a"})
    write(root, epoch(1, 0.1))
    write_record(root, epoch(1, 0.1))
    for name, again in (("clock.json", lambda: Clock(root / "clock.json")), (OUTCOME, lambda: read_outcome(root))):
        (root / name).write_text("{")
        with pytest.raises(UsageError, match=rf"full/{name}.*`rm -r .*full/{name}; ratchet run`"):
            again()
        (root / name).unlink()
        again()
    for name, read in (
        ("records/epoch-0001.json", lambda: read_records(root)),
        ("fingerprint.json", lambda: open_root(root, {"data": "a"})),
    ):
        (root / name).write_text('{"epoch": 1')
        with pytest.raises(UsageError, match=rf"full/{name}.*`rm -r .*/full; ratchet run`"):
            read()


def test_opening_keeps_what_is_complete_and_removes_the_rest(tmp_path: Path) -> None:
    root = tmp_path / "full"
    open_root(root, {"data": "a"})
    kept, cut = write(root, epoch(1, 0.1)), write(root, epoch(2, 0.1), complete=False)
    open_root(root, {"data": "a"})
    assert kept.is_dir()
    assert not cut.exists()


def test_a_file_with_the_name_of_a_checkpoint_is_named_and_kept(tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    open_root(root, {"seed": "1"})
    (root / "checkpoint-9").write_text("mine")
    with pytest.raises(UsageError, match=r"checkpoint-9 is no folder, expected that of a checkpoint"):
        open_root(root, {"seed": "1"})
    assert (root / "checkpoint-9").read_text() == "mine"


def test_checkpoints_of_other_inputs_are_never_resumed(tmp_path: Path) -> None:
    root = tmp_path / "full"
    open_root(root, {"data": "a"})
    write(root, epoch(1, 0.1))
    open_root(root, {"data": "b"})
    assert complete_checkpoints(root) == []


def test_the_last_three_and_the_selected_one_are_kept(tmp_path: Path) -> None:
    for number in range(1, 7):
        write(tmp_path, epoch(number, 0.1))
    prune(tmp_path, 3, [2])
    assert [record.epoch for _, record in complete_checkpoints(tmp_path)] == [2, 4, 5, 6]


def test_no_space_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 2**30))
    with pytest.raises(StageError, match=r"needs 2\.0 GiB and .* has 1\.0 GiB free; free some space"):
        check_disk(tmp_path, 2**31)


def test_a_checkpoint_holds_weights_and_both_moments_in_fp32() -> None:
    # transformers writes model.safetensors (4 bytes a parameter) and optimizer.pt (exp_avg and exp_avg_sq, 8 bytes)
    assert checkpoint_bytes(1_000_000_000) == pytest.approx(12e9, rel=0.06)


def test_never_more_checkpoints_lie_on_the_disk_than_planned(tmp_path: Path) -> None:
    most = 0
    for number in range(1, 9):
        write(tmp_path, epoch(number, 0.1))
        most = max(most, len(complete_checkpoints(tmp_path)))
        prune(tmp_path, 3, [1])
    assert most == most_checkpoints(8, 3)


def test_a_finished_training_keeps_weights_and_drops_what_only_a_resume_reads(tmp_path: Path) -> None:
    folder = tmp_path / epoch(1, 0.1).checkpoint
    (folder / "optimizer_0").mkdir(parents=True)
    for name in ("model.safetensors", "trainer_state.json", "optimizer.pt", "optimizer_0/shard", "rng_state_1.pth"):
        (folder / name).write_bytes(b"x")
    mark_complete(folder, epoch(1, 0.1))
    assert is_resumable(tmp_path)
    drop_resume_state(tmp_path)
    left = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    assert left == ["complete.json", "model.safetensors", "trainer_state.json"]
    assert [record.epoch for _, record in complete_checkpoints(tmp_path)] == [1]
    assert not is_resumable(tmp_path)


def test_a_kill_while_the_state_is_dropped_leaves_a_complete_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path, epoch(1, 0.1))
    (folder / "optimizer_0").mkdir()
    (folder / "optimizer_0/shard").write_bytes(b"x")
    mark_complete(folder, epoch(1, 0.1))

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", kill)
    with pytest.raises(KeyboardInterrupt):
        drop_resume_state(tmp_path)
    monkeypatch.undo()
    assert [record.epoch for _, record in complete_checkpoints(tmp_path)] == [1]
    drop_resume_state(tmp_path)
    assert not (folder / "optimizer_0").exists()
