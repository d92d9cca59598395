"""Versions of the data: what dvc.lock names at each commit, out of DVC's cache or its remote."""

import json
import logging
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import MissingArtifactError, RatchetError, UsageError
from evalsuite.core.yaml_file import parse_yaml
from tasks.dvc_command import stage_environment
from tasks.paths import ArtifactPaths
from tasks.prepare.record.trail import Trail, read_trail

PRESENT = "the present data"
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


class Commit(NamedTuple):
    """A commit whose dvc.lock names prepared data."""

    sha: str
    when: str
    """ISO 8601, as git has it."""
    folder_md5: str
    """DVC's name of data/prepared."""


@dataclass(frozen=True)
class Version:
    """Rows as they were prepared at some time."""

    name: str
    """For people: the revision that was asked for, or ``the present data``."""
    commit: str
    """Empty for what lies in the project's folder now."""
    trail: Trail


def present_version(paths: ArtifactPaths) -> Version:
    """What lies in data/prepared.

    Raises:
        MissingArtifactError: Nothing was prepared.
    """
    return Version(PRESENT, "", read_trail(paths.trail))


def version_at(revision: str, paths: ArtifactPaths) -> Version:
    """The rows that were prepared at a revision of git's.

    Raises:
        UsageError: There is no such revision, its dvc.lock names no prepared data, or that has no history of rows.
        MissingArtifactError: Neither DVC's cache nor its remote has it.
    """
    commit = resolved(revision, paths.root)
    folder = prepared_at(commit, paths)
    if folder is None:
        raise UsageError(
            f"{revision} ({commit[:12]}) has no data/prepared in its dvc.lock; name a revision after `ratchet run` was "
            "committed: `git log --oneline -- dvc.lock`"
        )
    with objects(paths) as find:
        trail_md5 = trail_in(folder, find, f"{revision} ({commit[:12]})")
        path = find(trail_md5)
        if path is None:
            raise _not_here(f"{revision} ({commit[:12]})")
        return Version(revision, commit, read_trail(path, f"git checkout {commit[:12]} && ratchet stage prepare"))


def resolved(revision: str, root: Path) -> str:
    """The commit that a revision names.

    Raises:
        UsageError: There is none.
    """
    found = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found is None or not found.strip():
        raise UsageError(
            f"{revision!r} is no revision of git's here; name a commit, branch or tag: `git log --oneline -- dvc.lock`"
        )
    return found.strip()


def prepared_at(commit: str, paths: ArtifactPaths) -> str | None:
    """DVC's name of data/prepared in a commit's dvc.lock; None where it has none."""
    text = git(paths.root, "show", f"{commit}:./dvc.lock")
    return None if text is None else _prepared_in(text, f"dvc.lock of {commit[:12]}")


def _prepared_in(lock: str, where: str) -> str | None:
    try:
        data = parse_yaml(lock, where)
        stages = data["stages"].values()
        outs = [out for stage in stages for out in stage.get("outs") or ()]
        return next((str(out["md5"]) for out in outs if out.get("path") == "data/prepared"), None)
    except (RatchetError, AttributeError, KeyError, TypeError):
        return None


def commits(paths: ArtifactPaths) -> list[Commit]:
    """Every commit of any branch that changed dvc.lock and names prepared data, the newest first."""
    listed = git(paths.root, "log", "--all", "--format=%H %cI", "--", "./dvc.lock") or ""
    found = []
    for line in listed.splitlines():
        sha, _, when = line.partition(" ")
        folder = prepared_at(sha, paths)
        if folder is not None:
            found.append(Commit(sha, when, folder))
    return found


def git(root: Path, *arguments: str) -> str | None:
    """What git answers; None where it refuses, or there is no git or no repository."""
    try:
        done = subprocess.run(  # noqa: S603  a fixed program and argv, no shell
            ["git", *arguments],  # noqa: S607  the user's own git
            cwd=root,
            env=stage_environment(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True)
class Objects:
    """Files by their md5, from DVC's cache, and from its remote where the cache lost them."""

    repo: Any
    """DVC's own view of the project."""

    def __call__(self, md5: str) -> Path | None:
        """The file; None where neither has it."""
        if not MD5.fullmatch(md5):
            return None
        path = Path(self.repo.cache.local.oid_to_path(md5))
        if not path.is_file():
            self._fetch(md5)
        return path if path.is_file() else None

    def _fetch(self, md5: str) -> None:
        from dvc.exceptions import DvcException
        from dvc_data.hashfile.hash_info import HashInfo

        told = logging.getLogger("dvc.data_cloud")
        quiet, told.disabled = told.disabled, True  # the caller says what is missing, by its commit
        try:
            self.repo.cloud.pull([HashInfo("md5", md5)])
        except (DvcException, OSError):
            return  # no remote, or none that answers
        finally:
            told.disabled = quiet


@contextmanager
def objects(paths: ArtifactPaths) -> Iterator[Objects]:
    """Look files of DVC's up.

    Raises:
        UsageError: The folder is no project of DVC's.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        repo = Repo(str(paths.root))
    except DvcException as error:
        raise UsageError(f"DVC cannot open this project: {error}; look at `ratchet doctor`") from None
    with repo:
        yield Objects(repo)


def trail_in(folder_md5: str, find: Objects, name: str) -> str:
    """DVC's name of the history of rows in a version of data/prepared.

    Raises:
        MissingArtifactError: Neither cache nor remote has that version.
        UsageError: It was prepared before histories were kept.
    """
    md5 = files_in(folder_md5, find, name).get("trail.parquet")
    if md5 is None:
        raise UsageError(
            f"the data of {name} was prepared before rows' histories were kept; prepare it again: `git checkout "
            "REV && ratchet stage prepare`"
        )
    return md5


def files_in(folder_md5: str, find: Objects, name: str) -> dict[str, str]:
    """File of a version of data/prepared -> DVC's name of it.

    Raises:
        MissingArtifactError: Neither cache nor remote has that version.
    """
    listing = find(folder_md5)
    if listing is None:
        raise _not_here(name)
    return {entry["relpath"]: entry["md5"] for entry in json.loads(listing.read_text(encoding="utf-8"))}


def _not_here(name: str) -> MissingArtifactError:
    return MissingArtifactError(
        f"the data of {name} is neither in DVC's cache nor in its remote; push it from where it was prepared (`git "
        "checkout REV && dvc push data/prepared`), or prepare it again (`git checkout REV && ratchet stage prepare`)"
    )
