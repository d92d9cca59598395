"""Folders, patterns and links in prepare.sources."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.prepare.inputs.source_files import source_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "b.jsonl",
        "a.jsonl.gz",
        "c.csv",
        "README.md",
        ".hidden.jsonl",
        "state.json",
        "b.jsonl.dvc",
        "more/d.parquet",
        "more/.x/e.jsonl",
    ):
        path = tmp_path / "data/raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    return tmp_path


def names(root: Path, *sources: str) -> list[str]:
    return [file.name for file in source_files(PrepareParams(sources=sources), root, fetch=False)]


def test_a_folder_is_its_files_of_rows_sorted_and_the_others_are_said(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert names(root, "data/raw") == [
        "data/raw/a.jsonl.gz",
        "data/raw/b.jsonl",
        "data/raw/c.csv",
        "data/raw/more/d.parquet",
    ]
    assert names(root, "data/raw") != []
    said = "passed over in data/raw, which are not called files of rows or describe them: data/raw/state.json"
    assert caplog.text.count(said) == 1


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("data/raw/*.jsonl", ["data/raw/b.jsonl"]),
        ("data/raw/**/*.parquet", ["data/raw/more/d.parquet"]),
        ("data/raw/[ab].*", ["data/raw/a.jsonl.gz", "data/raw/b.jsonl"]),
        ("data/raw/?.csv", ["data/raw/c.csv"]),
    ],
)
def test_a_pattern_is_what_it_matches_sorted(root: Path, pattern: str, found: list[str]) -> None:
    assert names(root, pattern) == found


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(root: Path) -> None:
    (root / "data/raw/rows[1].jsonl").write_text("{}\n")
    assert names(root, "data/raw/rows[1].jsonl") == ["data/raw/rows[1].jsonl"]


@pytest.mark.parametrize("name", ["a\nb.jsonl", "a\x1b[31m.jsonl", "a\udcff.jsonl", "a\u202e.jsonl"])
def test_a_name_that_cannot_be_shown_is_refused(root: Path, name: str) -> None:
    (root / "data/raw" / name).write_text("{}\n")
    with pytest.raises(UsageError, match="no file of rows may have such a name; rename it") as caught:
        names(root, "data/raw")
    assert str(caught.value).isprintable()


def test_each_file_knows_its_entry(root: Path) -> None:
    files = source_files(PrepareParams(sources=("data/raw/c.csv", "data/raw/*.jsonl")), root, fetch=False)
    assert [(file.name, file.entry) for file in files] == [("data/raw/c.csv", 0), ("data/raw/b.jsonl", 1)]


@pytest.mark.parametrize(
    ("sources", "why"),
    [
        (["data/raw/*.xml"], r"no file matches data/raw/\*\.xml; data/raw has README\.md, a\.jsonl\.gz"),
        (["data/raw/none/*.csv"], r"no file matches .*; data/raw/none has no files"),
        (["/etc/*"], "write a pattern from the project's root"),
        (
            ["data/*/b.jsonl", "data/raw/b.jsonl"],
            "b.jsonl is in data/.*/b.jsonl and in data/raw/b.jsonl, so that its rows",
        ),
        (["params.y*l"], "params.yaml lies outside data/raw"),
        (["data"], "data lies outside data/raw"),
        (["data/raw/empty"], r"the folder data/raw/empty has no file of rows .*, it is empty"),
        (["data/raw/papers"], r"the folder data/raw/papers has no file of rows .*, it has data/raw/papers/a\.pdf"),
    ],
)
def test_sources_without_a_file_say_what_is_there(root: Path, sources: list[str], why: str) -> None:
    (root / "params.yaml").write_text("")
    (root / "data/raw/empty").mkdir()
    (root / "data/raw/papers").mkdir()
    (root / "data/raw/papers/a.pdf").write_text("")
    with pytest.raises(UsageError, match=why):
        names(root, *sources)


@pytest.mark.parametrize("source", ["data/raw", "data/raw/*/b.jsonl", "data/raw/loop"])
def test_a_loop_of_links_ends_with_a_message(root: Path, source: str) -> None:
    (root / "data/raw/loop").symlink_to(root / "data/raw")
    with pytest.raises(
        UsageError, match=r"data/raw/loop is a link to .*/data/raw, and DVC passes over links to folders"
    ):
        names(root, source)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("s3://bucket/rows.jsonl", "ratchet import-rows s3://bucket/rows.jsonl"),
        ("hub:owner/name", "hub:OWNER/NAME@COMMIT:SPLIT with a commit of 40 hex digits"),
        ("hub:owner/name@main", "hub:OWNER/NAME@COMMIT:SPLIT with a commit of 40 hex digits"),
        ("", "at least 1 character"),
    ],
)
def test_a_source_that_dvc_cannot_watch_is_refused_with_what_to_write(source: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        PrepareParams(sources=(source,))


def test_sources_are_written_as_they_were_given() -> None:
    given = ["data/raw/a.jsonl", {"path": "data/raw/b.csv", "weight": 2.0, "max_rows": 5}]
    params = PrepareParams.model_validate({"sources": given, "max_rows": 10})
    assert params.model_dump(mode="json")["sources"] == given
    assert PrepareParams.model_validate(params.model_dump(mode="json")) == params


def test_a_hub_source_names_configuration_and_split() -> None:
    full, short = PrepareParams(sources=(f"hub:o/n@{COMMIT}:en/validation", f"hub:o/n@{COMMIT}")).sources
    assert (full.hub, str(full.hub)) == (("o/n", COMMIT, "en", "validation"), full.path)
    assert short.hub == ("o/n", COMMIT, None, "train")
    assert PrepareParams(sources=(full, short), datasets=("p/q",)).hub_ids == ("o/n", "p/q")
