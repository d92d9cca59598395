"""Problems of this machine or folder, each with its remedy."""

import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from evalsuite.core.errors import RatchetError
from evalsuite.core.imports import ROOT
from tasks.installed.pipeline import PACKAGE, installed_version, starts_safely
from tasks.paths import ArtifactPaths

if TYPE_CHECKING:
    from tasks.config.params import Params

NO_COMMIT = "no commit yet"
UPGRADE = f"`python -m pip install --upgrade {PACKAGE}`"
OURS = ("flows", "tasks", "evalsuite")
SHADOWED = ("evaluate", "datasets", "tokenizers", "trl", "peft", "prefect", "dvc", "torch", "transformers")
GIB = 2**30
LEFT_SECONDS = 600.0
"""A lock of a build this old that no process holds belongs to nobody; on a shared disk another machine may build."""


class Finding(NamedTuple):
    """The result of one check."""

    subject: str
    state: str
    good: bool
    remedy: str = ""


def examine(folder: Path) -> list[Finding]:
    """Look at versions, devices, disk, shadowed packages, DVC and git; changes nothing."""
    found = [
        *_python(),
        *_versions(folder),
        *_packages(folder),
        *_hardware(folder),
        *_left_by_builds(),
        *_repository(folder),
        *_configuration(folder),
    ]
    states = [finding.state for finding in found]  # DVC says of params.yaml what reading it says again
    return [finding for at, finding in enumerate(found) if finding.good or finding.state not in states[at + 1 :]]


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] < (3, 13)
    yield Finding("python", version, good, "make the environment with Python 3.11 or 3.12: `make PYTHON=... install`")


def _versions(folder: Path) -> Iterator[Finding]:
    from packaging.requirements import Requirement

    if starts_safely(ArtifactPaths(folder)):
        asked, by, remedy = importlib.metadata.requires(PACKAGE) or [], f"{PACKAGE} {installed_version()}", UPGRADE
    else:
        try:
            project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
            yield Finding(
                "pyproject.toml",
                f"unreadable ({error})",
                False,
                "work in the project's root; `git diff pyproject.toml` shows what differs",
            )
            return
        asked, by, remedy = project["dependencies"], "pyproject.toml", "`make install`"
    declared = [each for each in map(Requirement, asked) if each.marker is None or each.marker.evaluate({"extra": ""})]
    bad = 0
    for requirement in declared:
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            version = "absent"
        if version == "absent" or not requirement.specifier.contains(version.split("+")[0], prereleases=True):
            bad += 1
            yield Finding(requirement.name, f"{version}, wanted {requirement.specifier}", False, remedy)
    if not bad:
        yield Finding("packages", f"{len(declared)} match {by}", True)


def _packages(folder: Path) -> Iterator[Finding]:
    safe = starts_safely(ArtifactPaths(folder))
    home, remedy = (ROOT, UPGRADE) if safe else (folder.resolve(), "`make install`")
    for name in OURS:
        spec = importlib.util.find_spec(name)
        where = Path(spec.origin).resolve() if spec and spec.origin else None
        good = where is not None and where.is_relative_to(home)
        yield Finding(f"package {name}", str(where), good, f"another package has this name: {remedy}")
    if safe:
        return  # no stage looks for packages in this folder
    for name in SHADOWED:
        taken = [
            path for path in (folder / name, folder / f"{name}.py") if (path / "__init__.py").exists() or path.is_file()
        ]
        if taken:
            yield Finding(name, f"shadowed by {taken[0]}", False, f"rename {taken[0].name}")


def _hardware(folder: Path) -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    yield Finding(
        "machine",
        f"{os.cpu_count()} cores, {memory.total / GIB:.0f} GiB memory, {memory.available / GIB:.0f} GiB free",
        memory.available > 4 * GIB,
        "the demo needs 4 GiB of free memory: end other programs",
    )
    free = shutil.disk_usage(folder).free
    yield Finding(
        "disk", f"{free / GIB:.0f} GiB free", free > 15 * GIB, "the demo needs 15 GiB: free some, or move the folder"
    )
    import torch

    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    yield Finding("devices", ", ".join(devices) or "no GPU: fp32 on the CPU", True)


def _left_by_builds() -> Iterator[Finding]:
    """Locks of C++ extensions (DeepSpeed's) whose build was killed: torch waits for the file to go, without end.

    Source: torch.utils.file_baton; a process that builds holds its lock open.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch_extensions"
    own = os.environ.get("TORCH_EXTENSIONS_DIR")
    found = Path(own).glob("*/lock") if own else cache.glob("*/*/lock")
    for lock in sorted(found):
        with suppress(OSError):  # it ended meanwhile
            age = time.time() - lock.stat().st_mtime
            if age > LEFT_SECONDS and not _is_open(lock):
                state = (
                    f"{lock} was left {age / 3600:.1f} h ago by a build that was killed; the next one waits for ever"
                )
                yield Finding("torch extensions", state, False, f"`rm {shlex.quote(str(lock))}`")


def _is_open(path: Path) -> bool:
    """Whether a process of this machine that we may look at has the file open."""
    import psutil

    real = str(path.resolve())
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(file.path == real for file in process.open_files()):
                return True
    return False


def _repository(folder: Path) -> Iterator[Finding]:
    from dvc.repo import Repo

    from tasks.pipeline.repository import how_to_have_one

    inside = _output(["git", "rev-parse", "--short", "HEAD"], folder)
    is_there = (folder / ".git").exists()
    absent = NO_COMMIT if is_there else "no repository"
    state = inside or (absent if shutil.which("git") else "git is not installed")
    with suppress(Exception), Repo(str(folder)) as repo:  # what it fails on is the finding about DVC below
        without = inside is None and bool(repo.config["core"].get("no_scm"))
        state += ", and DVC works without it (core.no_scm)" if without else ""
    good = inside is not None or state.endswith("(core.no_scm)")
    remedy = '`git add --all && git commit -m "Start"`' if is_there else how_to_have_one(folder)
    yield Finding("git", state, good, remedy if shutil.which("git") else f"install git; {remedy}")
    if inside is not None:
        changed = len((_output(["git", "status", "--porcelain"], folder) or "").splitlines())
        yield Finding("git tree", f"{changed} uncommitted paths" if changed else "clean", True)
    from tasks.pipeline.runner import pending_stages

    try:
        pending = pending_stages(folder)
    except RatchetError as error:
        yield Finding("dvc", str(error), False, "fix that, then check again with `ratchet doctor`")
        return
    yield Finding("dvc", f"{len(pending)} stages to run" if pending else "everything up to date", True)
    from tasks.registry.store import check_remote

    try:
        state = check_remote(ArtifactPaths(folder), _remote_of(folder))
    except RatchetError as error:
        yield Finding("dvc remote", str(error), False, "promotion needs it; then check again with `ratchet doctor`")
        return
    yield Finding("dvc remote", state, True)


def _remote_of(folder: Path) -> str | None:
    """The remote that params.yaml names; the default one where it names none or cannot be read."""
    from tasks.config.params import load_params

    try:
        return load_params(folder / "params.yaml").promote.remote
    except RatchetError:
        return None


def _configuration(folder: Path) -> Iterator[Finding]:
    from tasks.config.params import load_params, parse_params
    from tasks.config.reading import read_sections
    from tasks.preflight.checks import problems

    path = folder / "params.yaml"
    try:
        params = load_params(path)
    except RatchetError as error:
        yield Finding(
            "params.yaml", str(error), False, "fix the line that it names; `ratchet help params` has all keys"
        )
        try:
            params = parse_params(read_sections(path))  # where a section is missing, the rest is looked at all the same
        except RatchetError:
            return
    else:
        yield Finding("params.yaml", f"methods {', '.join(params.methods)}", True)
    found = problems(params, ArtifactPaths(folder))
    for problem in found:
        yield Finding("inputs", problem, False, "fix it, then check again with `ratchet doctor`")
    if not found:
        yield Finding("inputs", "model, data, sets, metrics and rules fit together", True)
        yield from _rows(params, ArtifactPaths(folder))
    yield from _models(params)
    yield from _remote(params)


def _remote(params: "Params") -> Iterator[Finding]:
    """What would be fetched or asked, whether it can be had, and which line asks for it."""
    from tasks.preflight.remote_inputs import missing

    try:
        wanted = missing(params)
    except RatchetError:
        return  # among the problems of the inputs
    for remote in wanted:
        try:
            remote.prove()
        except RatchetError as error:
            yield Finding(remote.key, f"{remote.what}: not here", False, str(error))
            continue
        state = "it answers" if remote.is_server else "not here yet; a run fetches it"
        yield Finding(remote.key, f"{remote.what}: {state}", True)


def _rows(params: "Params", paths: "ArtifactPaths") -> Iterator[Finding]:
    """The first rows through the base model's chat template, once it is fetched."""
    from tasks.preflight.base_model import check_first_rows

    try:
        tried = check_first_rows(params, paths)
    except (RatchetError, OSError) as error:
        yield Finding("rows", str(error), False, "fix it, then check again with `ratchet doctor`")
        return
    if tried:
        yield Finding("rows", "the chat template renders the first rows of each source", True)


def _models(params: "Params") -> Iterator[Finding]:
    """The models that score; the one to fine-tune is among the inputs."""
    from evalsuite.network.model_source import resolve_model

    for key, reference in (
        ("evaluation.golden.bertscore_model", params.evaluation.golden.bertscore_model),
        ("contamination.embedding_model", params.contamination.embedding_model),
    ):
        if reference is None:
            continue
        try:
            source = resolve_model(reference)
        except RatchetError as error:
            yield Finding(key, str(error), False, f"change {key} in params.yaml")
            continue
        if source.folder is not None:
            yield Finding(key, f"{reference}: {source.folder}", True)


def _output(command: list[str], folder: Path) -> str | None:
    """First line of a command's output; None when it fails or is absent."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=30, check=True)  # noqa: S603  fixed argv
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()
