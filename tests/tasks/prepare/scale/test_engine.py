"""The same bytes wherever the work is done."""

import hashlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest

from evalsuite.core.errors import StageError, UsageError
from tasks.config.prepare import PrepareParams
from tasks.prepare import preparation, sources
from tasks.prepare.scale import engine
from tasks.prepare.scale.engine import InProcess, Processes
from tests.tasks.prepare.project import GOLDEN, new_project, write_rows

STEPS = ["duplicates", "quality", {"near_duplicates": {"compare": "prompt"}}, "held_out", "max_rows", "length"]


def text_lengths(batch: list[str]) -> list[int]:
    return [len(text) for text in batch]


class Broken:
    def __call__(self, batch: list[str]) -> list[int]:
        raise UsageError(f"{batch[0]} is wrong; correct it")


def prepared(root: Path, model: Path, **settings: Any) -> dict[str, str]:
    """Hash of each file of data/prepared, of rows with duplicates, a held-out one and a bad one."""
    paths = new_project(root, model)
    rows: list[Any] = [
        {"prompt": f"What does article {at % 170} say of case {at % 130}?", "completion": "It does not say anything."}
        for at in range(400)
    ]
    rows[7] = {"prompt": GOLDEN, "completion": "There, of course."}
    rows[9] = {"prompt": "no answer"}
    asked = write_rows(paths, rows).model_dump() | {"steps": STEPS, "max_rows": 120, **settings}
    preparation.run(PrepareParams.model_validate(asked), paths)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths.prepared.iterdir())}


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MANY_ROWS", 1)
    monkeypatch.setattr(sources, "MANY_BYTES", 1)
    monkeypatch.setattr(sources, "BATCH_ROWS", 100)
    monkeypatch.setattr("tasks.prepare.scale.stored.BATCH_ROWS", 50)


@pytest.mark.usefixtures("few_are_many")
def test_two_processes_write_the_bytes_that_one_writes(tmp_path: Path, tiny_model: Path) -> None:
    alone = prepared(tmp_path / "alone", tiny_model, processes=1)
    assert {
        "train.jsonl",
        "dev.jsonl",
        "trail.parquet",
        "report.html",
        "report.json",
        "quarantine.jsonl",
    } <= alone.keys()
    assert prepared(tmp_path / "two", tiny_model, processes=2) == alone


def test_batches_are_asked_for_as_work_goes_on() -> None:
    asked = 0

    def batches() -> Iterator[list[str]]:
        nonlocal asked
        for at in range(100):
            asked += 1
            yield ["x" * at]

    with Processes(2) as pool:
        found = pool.map(text_lengths, batches())
        assert next(found) == [0]
        assert asked <= 1 + engine.WAITING * 2
        assert list(found) == [[at] for at in range(1, 100)]


def test_an_error_in_another_process_is_the_one_that_it_raised() -> None:
    with Processes(2) as pool, pytest.raises(UsageError, match=r"^a is wrong; correct it$"):
        list(pool.map(Broken(), [["a"], ["b"]]))


class Killed:
    def __call__(self, batch: list[str]) -> list[int]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []


def test_a_process_that_is_killed_is_said_with_what_to_do() -> None:
    with Processes(2) as pool, pytest.raises(StageError, match=r"was killed, .*; set prepare\.processes to fewer"):
        list(pool.map(Killed(), [["a"], ["b"]]))


def put_asleep(started: Connection) -> None:
    with Processes(1) as pool:
        started.send(next(pool.map(own_id, iter([["a"], ["b"]]))))
        time.sleep(60)


def own_id(batch: list[str]) -> int:
    return os.getpid()


def test_processes_end_with_the_one_that_started_them_when_it_is_killed() -> None:
    receiver, sender = get_context("spawn").Pipe(duplex=False)
    stage = get_context("spawn").Process(target=put_asleep, args=(sender,))
    stage.start()
    worker = psutil.Process(receiver.recv())
    stage.kill()
    stage.join()
    worker.wait(30)


def test_few_rows_start_no_process() -> None:
    with Processes(2) as pool:
        assert list(engine.on_each(pool, text_lengths, ["ab", "c"])) == [2, 1]  # type: ignore[arg-type]
        assert pool._pool is None


def test_in_this_process_nothing_is_asked_for_in_advance() -> None:
    def batches() -> Iterable[list[str]]:
        yield ["a"]
        raise AssertionError

    assert next(InProcess().map(text_lengths, batches())) == [1]


def test_ray_that_is_absent_is_said_with_the_command(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        UsageError, match=r"Ray is not installed: `pip install \"ratchet\[ray\]\"`, or set prepare.engine"
    ):
        prepared(tmp_path, tiny_model, engine="ray")
