"""champion.json says what the ledger says, or nothing is believed."""

from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_json, write_json
from tasks.paths import ArtifactPaths
from tasks.registry.champion import is_withdrawn, read_champion, read_stored, rebuild, settle, write_champion
from tasks.registry.ledger import Event, registry_lock
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
    assert champion.pointer == f"registry/models/{'b' * 16}.dvc"


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
    assert read_stored(paths) != champion
    with registry_lock(paths):
        assert settle(paths) == champion
    assert read_stored(paths) == champion


def test_a_retired_champion_is_followed_by_none(paths: ArtifactPaths) -> None:
    add(paths.root, Event.RETIRE, "b", replaced="b")
    write_champion(paths)
    assert read_champion(paths) is None
    assert is_withdrawn("b" * 64, paths)
    add(paths.root, Event.PROMOTE, "c")
    write_champion(paths)
    champion = read_champion(paths)
    assert champion is not None
    assert (champion.identity[0], champion.previous) == ("c", None)


def test_a_crash_in_a_retirement_believes_the_ledger(paths: ArtifactPaths) -> None:
    add(paths.root, Event.RETIRE, "b", replaced="b")
    assert read_champion(paths) is None
    assert read_stored(paths) is not None
    with registry_lock(paths):
        assert settle(paths) is None
    assert read_stored(paths) is None


def test_a_champion_that_the_ledger_does_not_know_is_refused(paths: ArtifactPaths) -> None:
    path = paths.registry / "champion.json"
    data = read_json(path, "x")
    data["champion"]["identity"] = "e" * 64
    write_json(path, data)
    with pytest.raises(UsageError, match=r"champion\.json names eeeeeeeeeeeeeeee, the ledger bbbbbbbbbbbbbbbb"):
        read_champion(paths)


def test_a_champion_changed_by_hand_is_written_again_from_the_ledger(paths: ArtifactPaths) -> None:
    path = paths.registry / "champion.json"
    good = path.read_bytes()
    data = read_json(path, "x")
    data["champion"]["model"] = "other"
    write_json(path, data)
    with pytest.raises(UsageError, match=r"python -P -m tasks\.registry\.rebuild"):
        read_champion(paths)
    rebuild(paths)
    assert path.read_bytes() == good


@pytest.mark.parametrize("kept", [0, 2])
def test_a_ledger_that_lost_lines_is_never_made_the_truth(paths: ArtifactPaths, kept: int) -> None:
    ledger, champion = paths.registry / "ledger.jsonl", paths.registry / "champion.json"
    before = champion.read_bytes()
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:kept]))
    for look in (read_champion, rebuild):
        with pytest.raises(UsageError, match=rf"from ledger line 3, the ledger .* and {kept} lines: it lost"):
            look(paths)
    assert champion.read_bytes() == before


def test_a_rollback_to_what_was_never_promoted_is_refused(paths: ArtifactPaths) -> None:
    add(paths.root, Event.ROLLBACK, "e", replaced="b")
    with pytest.raises(UsageError, match="line 4 rolls back to eeeeeeeeeeeeeeee, which was never promoted"):
        read_champion(paths)


def test_what_was_rolled_back_stays_withdrawn_until_it_is_champion_again(paths: ArtifactPaths) -> None:
    assert not is_withdrawn("b" * 64, paths)
    add(paths.root, Event.ROLLBACK, "a", replaced="b")
    add(paths.root, Event.VERDICT, "b")
    assert (is_withdrawn("a" * 64, paths), is_withdrawn("b" * 64, paths)) == (False, True)
    add(paths.root, Event.PROMOTE, "b", replaced="a")
    assert (is_withdrawn("a" * 64, paths), is_withdrawn("b" * 64, paths)) == (False, False)


@pytest.mark.parametrize("text", ["{}", "[]", "no", '{"schema_version": 1, "champion": {"identity": 3}}'])
def test_a_damaged_champion_file_is_one_clear_error(paths: ArtifactPaths, text: str) -> None:
    (paths.registry / "champion.json").write_text(text)
    with pytest.raises(UsageError, match=r"champion\.json"):
        read_champion(paths)
    rebuild(paths)
    champion = read_champion(paths)
    assert champion is not None
    assert champion.identity[0] == "b"
