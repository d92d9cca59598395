"""The chain that cannot be changed unseen."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_json
from tasks.dvc_command import stage_environment
from tasks.paths import ArtifactPaths
from tasks.registry.champion import read_champion, write_champion
from tasks.registry.ledger import Event, append, ledger_path, looks, looks_before, new_entry, read_ledger, registry_lock
from tests.tasks.registry.ledger_entries import add

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def five_lines(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    root = tmp_path_factory.mktemp("five")
    for letter in "abcde":
        add(root, Event.PROMOTE, letter)
    return ledger_path(ArtifactPaths(root)).read_bytes()


@pytest.fixture
def ledger(tmp_path: Path, five_lines: bytes) -> Path:
    path = ledger_path(ArtifactPaths(tmp_path))
    path.parent.mkdir(parents=True)
    path.write_bytes(five_lines)
    return path


def test_lines_come_back_in_order_and_chained(ledger: Path) -> None:
    entries = read_ledger(ledger)
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.identity[0] for entry in entries] == list("abcde")


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_one_changed_byte_anywhere_names_its_line(five_lines: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(five_lines) - 1))
    mask = data.draw(st.integers(1, 255))
    line = five_lines[:position].count(b"\n") + 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        changed = bytearray(five_lines)
        changed[position] ^= mask
        path.write_bytes(changed)
        with pytest.raises(UsageError, match=rf"ledger\.jsonl:{line}: "):
            read_ledger(path)


def test_a_line_with_a_forged_hash_breaks_the_chain_after_it(ledger: Path) -> None:
    lines = ledger.read_bytes().splitlines(keepends=True)
    forged = json.loads(lines[1]) | {"candidate": "evil"}
    del forged["sha256"]
    forged["sha256"] = sha256_json(forged)
    lines[1] = json.dumps(forged, sort_keys=True).encode() + b"\n"
    ledger.write_bytes(b"".join(lines))
    with pytest.raises(UsageError, match=r"ledger\.jsonl:3: the chain breaks here"):
        read_ledger(ledger)


@pytest.mark.parametrize("line", range(4))
def test_a_removed_line_breaks_the_chain(ledger: Path, line: int) -> None:
    lines = ledger.read_bytes().splitlines(keepends=True)
    del lines[line]
    ledger.write_bytes(b"".join(lines))
    with pytest.raises(UsageError, match="the chain breaks here"):
        read_ledger(ledger)


def test_a_cut_last_line_is_explained(ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"ledger\.jsonl:5: the last line is cut") as raised:
        read_ledger(ledger)
    with pytest.raises(UsageError, match="the last line is cut"):
        add(ledger.parents[1], Event.PROMOTE, "f")
    remedy = str(raised.value).split("`")[1]
    subprocess.run(remedy.split(), check=True)
    assert [entry.identity[0] for entry in read_ledger(ledger)] == list("abcd")


def test_a_full_disk_leaves_no_half_line(ledger: Path) -> None:
    before = ledger.read_bytes()
    code = (
        "import resource, sys; from pathlib import Path; from tasks.registry.ledger import Event;"
        "from tests.tasks.registry.ledger_entries import add;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2); add(Path(sys.argv[1]), Event.PROMOTE, 'f')"
    )
    command = [sys.executable, "-c", code, str(ledger.parents[1]), str(len(before) + 40)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "StageError" in done.stderr
    assert "ledger.jsonl cannot be written" in done.stderr
    assert ledger.read_bytes() == before


@pytest.mark.parametrize("junk", [b"{}\n", b"\xff\xfe\n", b"null\n", b"[" * 1000 + b"\n"])
def test_a_line_that_is_no_entry_is_named(ledger: Path, junk: bytes) -> None:
    ledger.write_bytes(ledger.read_bytes() + junk)
    with pytest.raises(UsageError, match=r"ledger\.jsonl:6: not a ledger line"):
        read_ledger(ledger)


def test_two_writers_at_once_keep_one_chain(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tasks.registry.ledger import Event;"
        "from tests.tasks.registry.ledger_entries import add;"
        "[add(Path(sys.argv[1]), Event.PROMOTE, sys.argv[2]) for _ in range(15)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), letter], cwd=ROOT) for letter in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    entries = read_ledger(ledger_path(ArtifactPaths(tmp_path)))
    assert len(entries) == 30


def test_looks_count_verdicts_by_set_of_items(tmp_path: Path) -> None:
    old = add(tmp_path, Event.VERDICT, "a").model_copy(update={"test_sets": {"golden": "x", "ifeval": "y"}})
    new = old.model_copy(update={"test_sets": {"golden": "z"}})
    promoted = old.model_copy(update={"event": Event.PROMOTE})
    assert looks([old, old, promoted, new]) == {("golden", "x"): 2, ("ifeval", "y"): 2, ("golden", "z"): 1}


def test_looks_before_count_other_models_on_the_very_items(tmp_path: Path) -> None:
    sets = {"golden": "x", "ifeval": "y"}
    one, other, own = (add(tmp_path, Event.VERDICT, letter).model_copy(update={"test_sets": sets}) for letter in "abc")
    renewed = other.model_copy(update={"test_sets": {"golden": "old", "ifeval": ""}, "identity": "d" * 64})
    promoted = renewed.model_copy(update={"event": Event.PROMOTE, "test_sets": sets})
    entries = [one, one, other, own, renewed, promoted]
    assert looks_before(entries, sets, own.identity) == {"golden": 2, "ifeval": 2}
    assert looks_before(entries, {"golden": "new", "ifeval": ""}, own.identity) == {}


@given(text=st.text())
@settings(deadline=None, max_examples=40)
def test_any_reason_stays_one_line_and_comes_back_as_it_was(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = ArtifactPaths(Path(folder))
        entry = new_entry(Event.ROLLBACK, None, "full", "a" * 64).model_copy(update={"reason": text})
        with registry_lock(paths):
            append(paths, entry)
        path = ledger_path(paths)
        assert path.read_bytes().count(b"\n") == 1
        assert read_ledger(path)[0].reason == text


def test_a_ledger_that_was_committed_comes_back_by_the_command_of_its_error(tmp_path: Path, five_lines: bytes) -> None:
    path = ledger_path(ArtifactPaths(tmp_path))
    path.parent.mkdir(parents=True)
    path.write_bytes(five_lines)
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@localhost")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "x")):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    path.write_bytes(five_lines.replace(b"promote", b"prom0te", 1))
    with pytest.raises(UsageError, match="git checkout HEAD -- ") as raised:
        read_ledger(path)
    command = str(raised.value).rsplit("`", 2)[1]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)  # noqa: S602  the command that a user is told
    assert path.read_bytes() == five_lines


def test_a_ledger_that_was_never_committed_is_begun_anew_by_the_command_of_its_error(
    tmp_path: Path, five_lines: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    paths = ArtifactPaths(Path())
    path = ledger_path(paths)
    path.parent.mkdir(parents=True)
    path.write_bytes(five_lines)
    write_champion(paths)
    path.write_bytes(five_lines[:-200] + b"\n")
    with pytest.raises(
        UsageError, match="never committed, so bring it back from a backup, or begin a new one"
    ) as raised:
        read_ledger(path)
    assert "git checkout" not in str(raised.value)
    command = str(raised.value).rsplit("`", 2)[1]
    assert command.endswith("; python -P -m tasks.registry.rebuild")
    environment = {**stage_environment(), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, shell=True, check=True, env=environment, capture_output=True)  # noqa: S602  as above
    assert read_ledger(path) == []
    assert read_champion(paths) is None
    assert path.with_name("ledger.jsonl.damaged").is_file()


def test_a_folder_in_the_ledgers_place_is_no_empty_ledger(tmp_path: Path) -> None:
    path = ledger_path(ArtifactPaths(tmp_path))
    path.mkdir(parents=True)
    with pytest.raises(UsageError, match=r"ledger\.jsonl is a folder, expected the ledger's file"):
        read_ledger(path)
