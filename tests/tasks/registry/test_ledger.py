"""The chain that cannot be changed unseen."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from evalsuite.errors import UsageError
from tasks.paths import ArtifactPaths
from tasks.registry.ledger import Event, Override, ledger_path, looks, read_ledger
from tests.tasks.registry.ledger_entries import add

ROOT = Path(__file__).parents[3]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    for letter in "abcde":
        add(tmp_path, Event.PROMOTE, letter)
    return ledger_path(ArtifactPaths(tmp_path))


def test_lines_come_back_in_order_and_chained(ledger: Path) -> None:
    entries = read_ledger(ledger)
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.identity[0] for entry in entries] == list("abcde")


@pytest.mark.parametrize("line", range(4))
def test_a_changed_line_breaks_the_chain_and_is_named(ledger: Path, line: int) -> None:
    lines = ledger.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"candidate": "full"', b'"candidate": "evil"')
    ledger.write_bytes(b"".join(lines))
    with pytest.raises(UsageError, match=rf"ledger\.jsonl:{line + 2}: the chain breaks here"):
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
    with pytest.raises(UsageError, match="the last line is cut"):
        read_ledger(ledger)


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


@pytest.mark.parametrize(("by", "reason"), [("", "x"), ("ada", ""), ("  ", "x"), ("ada", "\n")])
def test_an_override_needs_a_name_and_a_reason(by: str, reason: str) -> None:
    with pytest.raises(ValidationError):
        Override(by=by, reason=reason)


def test_looks_count_verdicts_by_suite(tmp_path: Path) -> None:
    first = add(tmp_path, Event.VERDICT, "a").model_copy(update={"test_sets": {"golden": "x"}})
    other = add(tmp_path, Event.PROMOTE, "a").model_copy(update={"test_sets": {"golden": "x"}})
    assert looks([first, first, other]) == {"golden": 2}
