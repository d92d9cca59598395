"""Promoted bytes, kept in the DVC remote and proven to be there."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from evalsuite.errors import MissingArtifactError, StageError, UsageError
from evalsuite.files import write_text
from evalsuite.identity import verify_manifest
from tasks.paths import ArtifactPaths
from tasks.runner import dvc_command, stage_environment

SHORT = 16


def pointer_path(identity: str, paths: ArtifactPaths) -> Path:
    """The DVC file through which a promoted model's bytes come back."""
    return paths.registry / "models" / f"{identity[:SHORT]}.dvc"


def store(method: str, identity: str, paths: ArtifactPaths, remote: str | None) -> None:
    """Push an exported model to the DVC remote, prove that it comes back, and write its pointer.

    The proof is a fetch of the remote's bytes into an empty cache, hashed against the manifest.

    Raises:
        UsageError: The bytes are not those of ``identity``, or the stage that made them is not in dvc.lock.
        StageError: The remote cannot be written or read.
    """
    manifest = verify_manifest(paths.export(method), f"ratchet stage train@{method}")
    if manifest.identity != identity:
        raise UsageError(
            f"models/{method}/export is {manifest.identity[:SHORT]}, the decision is about {identity[:SHORT]}; run "
            "`ratchet run` so that the gate judges these bytes"
        )
    text = _pointer(method, identity, paths)
    target = f"models/{method}/export"
    _dvc(paths, "push", "-q", *(["-r", remote] if remote else []), target, what="the DVC remote cannot be written")
    _prove(text, identity, paths, remote)
    write_text(pointer_path(identity, paths), text)


def materialise(identity: str, paths: ArtifactPaths, remote: str | None = None) -> Path:
    """Bring a promoted model's bytes back from the cache or the remote.

    Returns:
        A folder that holds exactly the model of ``identity``.

    Raises:
        MissingArtifactError: There is no pointer for it.
        StageError: Neither cache nor remote has the bytes.
        UsageError: What came back is another model.
    """
    pointer = pointer_path(identity, paths)
    if not pointer.is_file():
        raise MissingArtifactError(
            f"no pointer {pointer} for the promoted model {identity[:SHORT]}; `git checkout {paths.registry}`"
        )
    folder = pointer.with_suffix("")
    relative = pointer.relative_to(paths.root).as_posix()
    options = ["-r", remote] if remote else []
    _dvc(paths, "pull", "-q", "--force", *options, relative, what=f"the bytes of {identity[:SHORT]} cannot be had")
    manifest = verify_manifest(folder, f"dvc pull {relative}")
    if manifest.identity != identity:
        raise UsageError(
            f"{folder} is {manifest.identity[:SHORT]}, expected {identity[:SHORT]}; `dvc pull -f {relative}`"
        )
    return folder


def _pointer(method: str, identity: str, paths: ArtifactPaths) -> str:
    """A .dvc file over the hash that dvc.lock has for the export."""
    lock = paths.root / "dvc.lock"
    outs: list[dict[str, Any]] = []
    if lock.is_file():
        stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
        outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    found = next((out for out in outs if out["path"] == f"models/{method}/export"), None)
    if found is None:
        raise UsageError(f"dvc.lock has no models/{method}/export; make it with `ratchet stage train@{method}`")
    entry: dict[str, Any] = {key: found[key] for key in ("md5", "size", "nfiles", "hash") if key in found}
    return yaml.safe_dump({"outs": [{**entry, "path": identity[:SHORT]}]}, sort_keys=False)


def _prove(text: str, identity: str, paths: ArtifactPaths, remote: str | None) -> None:
    """Fetch into a new, empty cache: only what the remote truly holds can come back."""
    with tempfile.TemporaryDirectory(dir=paths.root, prefix=".prove-") as temporary:
        folder = Path(temporary)
        shutil.copytree(paths.root / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
        url = _remote_url(paths, remote)
        _dvc_in(folder, "config", "core.no_scm", "true", what="the proof cannot be set up")
        _dvc_in(folder, "remote", "add", "-q", "-f", "-d", "proof", url, what="the proof cannot be set up")
        (folder / "model.dvc").write_text(text.replace(identity[:SHORT], "model"), encoding="utf-8")
        _dvc_in(folder, "pull", "-q", "model.dvc", what="the DVC remote did not give back what was pushed")
        found = verify_manifest(folder / "model", "ratchet promote").identity
    if found != identity:
        raise StageError(f"the DVC remote gave back {found[:SHORT]}, expected {identity[:SHORT]}; nothing was promoted")


def _remote_url(paths: ArtifactPaths, remote: str | None) -> str:
    """Address of the remote, absolute where it is a folder."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with Repo(str(paths.root)) as repo:
        try:
            found = repo.cloud.get_remote(name=remote)
        except DvcException as error:
            raise StageError(
                f"no DVC remote to keep the bytes ({error}); `dvc remote add --default NAME URL`"
            ) from None
        return str(found.path)


def _dvc(paths: ArtifactPaths, *arguments: str, what: str) -> None:
    _dvc_in(paths.root, *arguments, what=what)


def _dvc_in(folder: Path, *arguments: str, what: str) -> None:
    done = subprocess.run(  # noqa: S603  a fixed program and argv, no shell
        dvc_command(*arguments), cwd=folder, env=stage_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        reason = lines[-1].removeprefix("ERROR: ") if lines else "no message"
        raise StageError(f"{what}: {reason}; look at `dvc remote list` and `ratchet doctor`, then try again")
