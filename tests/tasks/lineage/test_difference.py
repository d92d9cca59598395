"""Two versions of the data, against what was changed between them."""

import shutil
from pathlib import Path

import pytest

from evalsuite.core.errors import MissingArtifactError, UsageError
from tasks.lineage.difference import compare, fate
from tasks.lineage.versions import Version, present_version, version_at
from tasks.prepare.record.trail import Event, TrailRow, read_trail, write_trail
from tests.tasks.lineage.conftest import TwoVersions

GONE = (Event("duplicates", "dropped", "duplicate"),)


def test_rows_that_only_moved_are_the_same_and_every_other_is_told(versions: TwoVersions) -> None:
    found = compare(version_at(versions.first, versions.paths), version_at("HEAD", versions.paths))
    assert [pair.after.row_id for pair in found.changed if pair.after] == ["dog"]
    # Both last questions went; a new first one came, and a copy of the first of all, which is dropped.
    assert {pair.before.source.rpartition(":")[2] for pair in found.removed if pair.before} == {"29", "30"}
    assert {pair.after.source.rpartition(":")[2] for pair in found.added if pair.after} == {"1", "31"}
    assert {fate(pair.after) for pair in found.added if pair.after} >= {"left out: duplicate"}
    reasons = {name: (before, after) for name, before, after in found.reasons}
    assert reasons["left out: duplicate"] == (0, 1)
    assert sum(before for before, _ in reasons.values()) == 31
    assert sum(after for _, after in reasons.values()) == 31
    (source,) = found.sources
    assert (source.source, source.added, source.removed, source.changed) == ("data/raw/rows.jsonl", 2, 2, 1)


def test_a_version_against_itself_differs_in_nothing(versions: TwoVersions) -> None:
    found = compare(version_at(versions.second, versions.paths), present_version(versions.paths))
    assert (found.added, found.removed, found.changed, found.decided) == ((), (), (), ())
    assert found.trained == (0, 0, 0)


def test_what_came_and_went_of_the_trained_rows_adds_up(versions: TwoVersions) -> None:
    before, after = version_at(versions.first, versions.paths), version_at(versions.second, versions.paths)
    came, went, _ = compare(before, after).trained
    count = {each.name: each.trail.table["side"].to_pylist().count("train") for each in (before, after)}
    assert count[versions.second] - count[versions.first] == came - went


def test_copies_are_matched_with_those_that_ended_alike(tmp_path: Path) -> None:
    def version(name: str, fates: list[str]) -> Version:
        rows = [
            TrailRow(
                f"a:{at}", f"{name}{at}", "f" * 32, "train" if fate == "train" else "", () if fate == "train" else GONE
            )
            for at, fate in enumerate(fates)
        ]
        write_trail(tmp_path / name, rows, [])
        return Version(name, "", read_trail(tmp_path / name))

    before, after = version("x", ["train", "gone", "gone"]), version("y", ["gone", "gone", "train", "gone"])
    found = compare(before, after)
    assert (found.removed, found.changed, found.decided) == ((), (), ())
    assert [pair.after.source for pair in found.added if pair.after] == ["a:3"]


@pytest.mark.parametrize("revision", ["nowhere", "--help", "", "HEAD~20"])
def test_a_revision_that_is_none_is_named(versions: TwoVersions, revision: str) -> None:
    with pytest.raises(UsageError, match="is no revision of git's here"):
        version_at(revision, versions.paths)


def test_data_that_the_cache_lost_is_told_with_the_command_that_brings_it(versions: TwoVersions) -> None:
    shutil.rmtree(versions.paths.root / ".dvc/cache")
    with pytest.raises(MissingArtifactError, match=r"neither in DVC's cache nor in its remote; push it from where"):
        version_at(versions.first, versions.paths)


def test_data_that_the_cache_lost_comes_out_of_the_remote(versions: TwoVersions) -> None:
    import sys

    from tests.tasks.lineage.conftest import call

    root = versions.paths.root
    call(root, sys.executable, "-m", "dvc", "remote", "add", "-d", "there", str(root.parent / "remote"))
    shutil.move(root / ".dvc/cache", root.parent / "remote")  # both have one layout
    assert version_at(versions.first, versions.paths).trail.table.num_rows == 31


def test_a_commit_without_prepared_data_is_told(versions: TwoVersions) -> None:
    from tests.tasks.lineage.conftest import call

    call(versions.paths.root, "git", "rm", "-q", "--cached", "dvc.lock")
    call(versions.paths.root, "git", "commit", "-q", "-m", "without")
    with pytest.raises(UsageError, match=r"has no data/prepared in its dvc\.lock"):
        version_at("HEAD", versions.paths)
