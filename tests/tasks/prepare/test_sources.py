"""What is read, what is quarantined, and how a source that changes is noticed."""

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.data.formats import Row
from tasks.paths import ArtifactPaths
from tasks.prepare import sources
from tasks.prepare.preparation import run
from tasks.prepare.report import summary
from tasks.prepare.scale.engine import InProcess
from tasks.prepare.sources import check_sources, read_sources

SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    paths = ArtifactPaths(tmp_path)
    shutil.copytree(tiny_model, paths.export("base"))
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "golden_sets").mkdir()
    return paths


def lines(count: int, first: int = 0) -> str:
    return "".join(json.dumps({"prompt": f"q {n}", "completion": f"a {n}"}) + "\n" for n in range(first, first + count))


def write(paths: ArtifactPaths, **files: str | bytes) -> None:
    for name, content in files.items():
        stem, _, ending = name.rpartition("_")
        path = paths.root / "data/raw" / f"{stem}.{ending}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def params_of(*entries: Any, **settings: Any) -> PrepareParams:
    return PrepareParams.model_validate({"sources": entries, "dev_fraction": 0.2, **settings})


def test_bad_rows_stand_in_the_quarantine_as_they_were(project: ArtifactPaths) -> None:
    broken = '{"prompt": "größer", "completion": ""}'
    latin = '{"prompt": "größer", "completion": "c"}'.encode("latin-1")
    write(
        project,
        a_jsonl=lines(60).encode() + broken.encode() + b"\r\n" + latin + b"\n",
        b_csv="prompt,completion\nq,a,z\nqq,aa\n",
    )
    report = run(params_of("data/raw/*", max_bad_fraction=0.1), project)
    kept = [json.loads(line) for line in (project.prepared / "quarantine.jsonl").read_text().splitlines()]
    assert [row["source"] for row in kept] == ["data/raw/a.jsonl:61", "data/raw/a.jsonl:62", "data/raw/b.csv:2"]
    assert [row["row"] for row in kept] == [broken, latin.decode("utf-8", "backslashreplace"), "q,a,z"]
    assert kept[0]["reason"] == "turn 1 (assistant) has no text"
    assert "3 bad (as they were: data/prepared/quarantine.jsonl)" in summary(report)


def test_a_corrected_row_can_be_put_back(project: ArtifactPaths) -> None:
    write(project, a_jsonl=lines(40) + '{"prompt": "p", "completion": null}\n')
    run(params_of("data/raw/a.jsonl", max_bad_fraction=0.1), project)
    [bad] = [json.loads(line) for line in (project.prepared / "quarantine.jsonl").read_text().splitlines()]
    write(project, b_jsonl=bad["row"].replace("null", '"now it has one"') + "\n", a_jsonl=lines(40))
    report = run(params_of("data/raw"), project)
    assert (report["rows_read"], report["bad_rows"]["count"]) == (41, 0)
    assert not (project.prepared / "quarantine.jsonl").exists()


def test_all_bad_rows_are_kept_where_too_many_stop_the_stage(project: ArtifactPaths) -> None:
    write(project, a_jsonl=lines(10) + "{\n" * 30)
    with pytest.raises(UsageError, match=r"All of them, as they are: \.ratchet/quarantine\.jsonl\. The first:\n"):
        run(params_of("data/raw/a.jsonl"), project)
    assert len((project.root / ".ratchet/quarantine.jsonl").read_text().splitlines()) == 30


def test_each_file_is_said_with_the_evidence(project: ArtifactPaths, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    write(
        project, a_csv="instruction,input,output\n" + "".join(f"do {n},,a {n}\n" for n in range(20)), b_jsonl=lines(30)
    )
    report = run(params_of("data/raw"), project)
    assert (
        "data/raw/a.csv: CSV (header instruction,input,output), all 20 rows read as Alpaca (instruction and output)"
        in caplog.text
    )
    assert "data/raw/b.jsonl: JSON lines, all 30 rows read as prompt and completion" in caplog.text
    assert [(file["name"], file["formats"], file["bad"]) for file in report["files"]] == [
        ("data/raw/a.csv", {"alpaca": 20}, 0),
        ("data/raw/b.jsonl", {"prompt_completion": 30}, 0),
    ]
    assert report["sources"].keys() == {"data/raw/a.csv", "data/raw/b.jsonl"}


def test_a_source_that_changes_while_it_is_read_is_noticed(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, a_jsonl=lines(50))
    path = project.root / "data/raw/a.jsonl"
    whole = sources.read_entries

    def grows(*arguments: Any) -> Any:
        for number, row in enumerate(whole(*arguments)):
            if number == 20:
                with path.open("a") as stream:
                    stream.write(lines(1, 99))
            yield row

    monkeypatch.setattr(sources, "read_entries", grows)
    with pytest.raises(UsageError, match=r"data/raw/a\.jsonl changed while it was read.*`ratchet stage prepare`"):
        read_sources(params_of("data/raw/a.jsonl"), project, InProcess())


def test_a_file_of_equal_size_and_time_that_was_put_in_its_place_is_noticed(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, a_jsonl=lines(50))
    path, whole = project.root / "data/raw/a.jsonl", sources.sha256_file

    def swaps(given: Path) -> str:
        times = path.stat()
        other = path.with_name("other")
        other.write_text(lines(50).replace("a 1", "b 1"))
        other.replace(path)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        return whole(given)

    monkeypatch.setattr(sources, "sha256_file", swaps)
    with pytest.raises(UsageError, match="changed while it was read"):
        read_sources(params_of("data/raw/a.jsonl"), project, InProcess())


def test_an_unchanged_source_is_read_beside_a_reader(project: ArtifactPaths) -> None:
    write(project, a_jsonl=lines(50))
    path = project.root / "data/raw/a.jsonl"
    threads = [threading.Thread(target=path.read_bytes) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert len(read_sources(params_of("data/raw/a.jsonl"), project, InProcess()).rows) == 50
    for thread in threads:
        thread.join()


def test_a_file_of_another_encoding_names_line_and_command(project: ArtifactPaths) -> None:
    write(project, a_jsonl='{"prompt": "größer", "completion": "a"}\n'.encode("latin-1") * 3)
    with pytest.raises(UsageError) as caught:
        check_sources(params_of("data/raw/a.jsonl"), project)
    assert "data/raw/a.jsonl:1: not UTF-8 at byte 14 (0xf6, 'ö' in Windows-1252)" in str(caught.value)
    assert "`iconv -f WINDOWS-1252 -t UTF-8 data/raw/a.jsonl > data/raw/a.converted.jsonl`" in str(caught.value)
    write(project, b_csv="prompt,completion\nq,a\n".encode("utf-16-le"))
    with pytest.raises(UsageError, match=r"b\.csv is UTF-16LE text; .*`iconv -f UTF-16LE -t UTF-8 data/raw/b\.csv"):
        check_sources(params_of("data/raw/b.csv"), project)


def test_an_empty_file_among_others_is_no_error(project: ArtifactPaths) -> None:
    write(project, a_jsonl=lines(5), b_jsonl="")
    check_sources(params_of("data/raw/*.jsonl"), project)
    with pytest.raises(UsageError, match=r"data/raw/b\.jsonl is empty"):
        check_sources(params_of("data/raw/a.jsonl", "data/raw/b.jsonl"), project)


@pytest.mark.skipif(not (SHARED / "bitext").is_dir(), reason="the public data folder is not there")
@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("clinc150", "one object with lists of rows under 'oos_val'"),
        ("bitext", "keys category, instruction: expected messages"),
        ("medquad", r"prepare\.ignore_keys: \[doc, focus, qtype\]"),
    ],
)
def test_public_files_that_need_a_hand_say_which(project: ArtifactPaths, folder: str, said: str) -> None:
    shutil.copytree(SHARED / folder, project.root / "data/raw" / folder)
    with pytest.raises(UsageError, match=said):
        check_sources(params_of(f"data/raw/{folder}"), project)


@pytest.mark.skipif(not (SHARED / "medquad").is_dir(), reason="the public data folder is not there")
def test_public_questions_and_answers_are_read_once_their_keys_are_named(project: ArtifactPaths) -> None:
    shutil.copyfile(SHARED / "medquad/medquad_short.jsonl", project.root / "data/raw/medquad.jsonl")
    found = read_sources(
        params_of("data/raw/medquad.jsonl", ignore_keys=["doc", "focus", "qtype"]), project, InProcess()
    )
    assert len(found.rows) > 5800
    assert {row.format for row in found.rows if isinstance(row, Row)} == {"question_answer"}
