"""champion.json says what the ledger says, or nothing is believed."""

from pathlib import Path

import pytest

from evalsuite.errors import UsageError
from evalsuite.files import read_json, write_json
from tasks.paths import ArtifactPaths
from tasks.registry.champion import read_champion, write_champion
from tasks.registry.ledger import Event
from tests.tasks.registry.ledger_entries import add


@pytest.fixture
def paths(tmp_path: Path) -> ArtifactPaths:
    add(tmp_path, Event.VERDICT, "a")
    add(tmp_path, Event.PROMOTE, "a")
    add(tmp_path, Event.PROMOTE, "b", replaced="a")
    paths = ArtifactPaths(tmp_path)
    write_champion(paths)
    return paths


def test_before_the_first_promotion_there_is_no_champion(tmp_path: Path) -> None:
    assert read_champion(ArtifactPaths(tmp_path)) is None


def test_the_last_promotion_is_the_champion(paths: ArtifactPaths) -> None:
    champion = read_champion(paths)
    assert champion is not None
    assert (champion.identity[0], champion.previous) == ("b", "a" * 64)


def test_a_rollback_brings_the_earlier_one_back_with_its_own_grounds(paths: ArtifactPaths) -> None:
    add(paths.root, Event.ROLLBACK, "a", replaced="b")
    write_champion(paths)
    champion = read_champion(paths)
    assert champion is not None
    assert (champion.identity[0], champion.previous) == ("a", None)


def test_a_crash_between_ledger_and_champion_believes_the_ledger(paths: ArtifactPaths) -> None:
    add(paths.root, Event.PROMOTE, "c", replaced="b")
    champion = read_champion(paths)
    assert champion is not None
    assert champion.identity[0] == "c"


def test_a_champion_that_the_ledger_does_not_know_is_refused(paths: ArtifactPaths) -> None:
    path = paths.registry / "champion.json"
    data = read_json(path, "x")
    data["champion"]["identity"] = "e" * 64
    write_json(path, data)
    with pytest.raises(UsageError, match=r"champion\.json names eeeeeeeeeeeeeeee, the ledger bbbbbbbbbbbbbbbb"):
        read_champion(paths)


def test_a_ledger_that_was_removed_does_not_go_unseen(paths: ArtifactPaths) -> None:
    (paths.registry / "ledger.jsonl").unlink()
    with pytest.raises(UsageError, match="the ledger none"):
        read_champion(paths)


@pytest.mark.parametrize("text", ["{}", "[]", "no", '{"schema_version": 1, "champion": {"identity": 3}}'])
def test_a_damaged_champion_file_is_one_clear_error(paths: ArtifactPaths, text: str) -> None:
    (paths.registry / "champion.json").write_text(text)
    with pytest.raises(UsageError, match=r"champion\.json"):
        read_champion(paths)
