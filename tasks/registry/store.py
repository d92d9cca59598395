"""Promoted bytes, kept in the DVC remote and proven to be there."""

import importlib.util
import logging
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evalsuite.core.errors import MissingArtifactError, RatchetError, StageError, UsageError
from evalsuite.core.files import write_text
from evalsuite.core.identity import verify_manifest
from evalsuite.core.yaml_file import dump_yaml, read_yaml
from tasks.dvc_command import dvc_command, stage_environment
from tasks.paths import ArtifactPaths

logger = logging.getLogger(__name__)

SHORT = 16
PATHS = frozenset(
    {
        "url",
        "gdrive_user_credentials_file",
        "gdrive_service_account_json_file_path",
        "credentialpath",
        "configpath",
        "keyfile",
        "cert_path",
        "key_path",
    }
)
"""Settings of a remote that DVC takes as relative to its configuration's folder where they are no URL."""


def pointer_path(identity: str, paths: ArtifactPaths) -> Path:
    """The DVC file through which a promoted model's bytes come back."""
    return paths.registry / "models" / f"{identity[:SHORT]}.dvc"


def store(method: str, identity: str, paths: ArtifactPaths, remote: str | None) -> None:
    """Push an exported model to the DVC remote, prove that it comes back, and write its pointer.

    The proof is a fetch of the remote's bytes into an empty cache, hashed against the manifest.

    Args:
        method: Whose export it is.
        identity: What the export must be.
        paths: The project.
        remote: Name of the DVC remote, kept in the pointer; the default remote when None.

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
    text = _pointer(method, identity, paths, remote)
    check_remote(paths, remote)
    target = f"models/{method}/export"
    _dvc(paths, "push", *(["-r", remote] if remote else []), target, what="the DVC remote cannot be written")
    with _from_remote(text, identity, paths):
        write_text(pointer_path(identity, paths), text)


def rehearse(method: str, identity: str, paths: ArtifactPaths, remote: str | None) -> None:
    """All that ``store`` needs but the travel of the bytes, and nothing is left behind.

    Raises:
        UsageError, StageError: As ``store`` would, as far as can be said without asking a server.
    """
    text = _pointer(method, identity, paths, remote)
    check_remote(paths, remote)
    with _fetching_project(text, paths):
        pass


def materialise(identity: str, paths: ArtifactPaths) -> Path:
    """Bring a promoted model's bytes back from the cache, or from the remote where the cache is empty or damaged.

    Returns:
        A folder that holds exactly the model of ``identity``.

    Raises:
        MissingArtifactError: There is no pointer for it.
        StageError: Neither cache nor remote has the bytes.
    """
    pointer = pointer_path(identity, paths)
    if not pointer.is_file():
        raise MissingArtifactError(
            f"no pointer {pointer} for the promoted model {identity[:SHORT]}; `git checkout {paths.registry}`"
        )
    folder = pointer.with_suffix("")
    relative = pointer.relative_to(paths.root).as_posix()
    _dvc(paths, "pull", "--force", relative, what=f"the bytes of {identity[:SHORT]} cannot be fetched")
    try:
        _verify(folder, identity)
    except RatchetError as error:
        # DVC believes its cache, whose files may be hard links of files that somebody changed in place.
        logger.warning("%s; fetching it again, past the local cache", error)
        with _from_remote(pointer.read_text(encoding="utf-8"), identity, paths) as fetched:
            if folder.exists():
                shutil.rmtree(folder)
            fetched.rename(folder)
    return folder


def _verify(folder: Path, identity: str) -> None:
    found = verify_manifest(folder, f"ratchet rollback --to {identity[:SHORT]}").identity
    if found != identity:
        raise UsageError(f"{folder} is {found[:SHORT]}, expected {identity[:SHORT]}")


def _pointer(method: str, identity: str, paths: ArtifactPaths, remote: str | None) -> str:
    """A .dvc file over the hash that dvc.lock has for the export."""
    lock = paths.root / "dvc.lock"
    outs: list[dict[str, Any]] = []
    if lock.is_file():
        outs = _outs(read_yaml(lock), lock)
    found = next((out for out in outs if out.get("path") == f"models/{method}/export"), None)
    if found is None:
        raise UsageError(f"dvc.lock has no models/{method}/export; make it with `ratchet stage train@{method}`")
    entry: dict[str, Any] = {key: found[key] for key in ("md5", "size", "nfiles", "hash") if key in found}
    entry |= {"path": identity[:SHORT]} | ({"remote": remote} if remote else {})
    return dump_yaml({"outs": [entry]})


def _outs(data: Any, lock: Path) -> list[dict[str, Any]]:
    """Outputs of every stage in dvc.lock."""
    stages = data.get("stages", {}) if isinstance(data, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) for stage in stages.values()):
        raise UsageError(
            f"{lock} has no mapping of stages; `git diff {lock}` shows what differs, `dvc commit -f` writes it anew"
        )
    outs = [out for stage in stages.values() for out in stage.get("outs") or []]
    return [out for out in outs if isinstance(out, dict)]


def _pointed(pointer: Path) -> dict[str, Any]:
    """The one output of a .dvc file."""
    data = read_yaml(pointer)
    outs = data.get("outs") if isinstance(data, dict) else None
    if not isinstance(outs, list) or len(outs) != 1 or not isinstance(outs[0], dict):
        raise UsageError(f"{pointer} names no output; bring it back with `git checkout {pointer}`")
    return dict(outs[0])


@contextmanager
def _from_remote(text: str, identity: str, paths: ArtifactPaths) -> Iterator[Path]:
    """Fetch into a new project with an empty cache: only what the remote truly holds can come back.

    Args:
        text: The pointer, a .dvc file; it may name a remote other than the default one.
        identity: What must come back.
        paths: The project whose remote is asked.

    Yields:
        The model's folder, verified, for as long as the block lasts.

    Raises:
        StageError: The remote does not give back these bytes.
    """
    with _fetching_project(text, paths) as project:
        _dvc_in(project, "pull", "model.dvc", what="the DVC remote did not return what it should hold")
        try:
            _verify(project / "model", identity)
        except RatchetError as error:
            reason = str(error).split("; run ")[0]
            raise StageError(
                f"the DVC remote gave back other bytes than {identity[:SHORT]}: {reason}; make them again with "
                "`ratchet stage train@METHOD --force` and promote again"
            ) from None
        yield project / "model"


@contextmanager
def _fetching_project(text: str, paths: ArtifactPaths) -> Iterator[Path]:
    """A new DVC project whose ``model.dvc`` points where the pointer of ``text`` does."""
    parent = paths.root / ".dvc" / "tmp"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix="fetch-") as temporary:
        project = Path(temporary)
        (project / "pointer.dvc").write_text(text, encoding="utf-8")
        out = _pointed(project / "pointer.dvc")
        (project / "pointer.dvc").unlink()
        _copy_remote(paths, out.pop("remote", None), project)
        (project / "model.dvc").write_text(dump_yaml({"outs": [{**out, "path": "model"}]}), encoding="utf-8")
        yield project


def _copy_remote(paths: ArtifactPaths, remote: str | None, project: Path) -> None:
    """Give a new DVC project the effective settings of a remote, credentials included, and a cache of its own.

    Raises:
        StageError: DVC would read back another setting than was written.
    """
    name, settings = _remote_settings(paths, remote)
    write_config(project / ".dvc", name, settings)


def write_config(folder: Path, name: str, settings: Mapping[str, Any]) -> None:
    """Write a new ``.dvc`` folder whose one remote is ``settings``.

    Local paths become links with plain names: DVC writes its configuration as ASCII and expands ``%(...)s`` in it,
    and a folder may have any name.

    Raises:
        StageError: DVC would read back another setting than was written.
    """
    from configobj import ConfigObj, ConfigObjError

    folder.mkdir()
    section = f'remote "{name}"'
    new = ConfigObj(encoding="utf-8", interpolation=False)
    new["core"] = {"no_scm": "true", "analytics": "false", "check_update": "false", "remote": name}
    new["cache"] = {"dir": "cache", "type": ["reflink", "hardlink", "copy"]}  # relative to this folder
    new[section] = {key: _plain(key, value, folder) for key, value in settings.items() if value is not None}
    with (folder / "config").open("wb") as stream:
        new.write(stream)
    try:
        with (folder / "config").open(encoding="utf-8") as text:
            read = ConfigObj(text).dict()[section]
    except (ConfigObjError, KeyError) as error:
        raise StageError(f"DVC cannot read the settings of its remote {name} back ({error}); change {name}") from None
    for key, value in new[section].items():
        if read.get(key) != value:
            raise StageError(
                f"DVC reads {key} of its remote {name} as {read.get(key)!r}, not {value!r}; change it with "
                f"`dvc remote modify {shlex.quote(name)} {key} VALUE`"
            )


def _plain(key: str, value: Any, folder: Path) -> Any:
    """A setting as DVC's configuration takes it: a local path as the name of a link to it."""
    if key in PATHS and Path(value).is_absolute():
        link = folder / f"place-{key}"
        link.symlink_to(str(value))
        return link.name
    return [str(each) for each in value] if isinstance(value, list | tuple) else str(value)


def _remote_settings(paths: ArtifactPaths, remote: str | None) -> tuple[str, dict[str, Any]]:
    """Name and effective settings of a remote, folders made absolute.

    Raises:
        StageError: There is no such remote, or the configuration cannot be read.
    """
    from configobj import ConfigObjError
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(paths.root)) as repo:
            name = remote or repo.config["core"].get("remote")
            known = dict(repo.config["remote"])
    except (DvcException, ConfigObjError) as error:
        raise StageError(f"DVC's configuration cannot be read: {error}; fix .dvc/config") from None
    if name not in known:
        raise StageError(
            f"no DVC remote {name or '(default)'} to keep the bytes, known: {', '.join(known) or 'none'}; make one "
            "with `dvc remote add --default NAME URL`"
        )
    return name, dict(known[name])


def check_remote(paths: ArtifactPaths, remote: str | None) -> str:
    """Name and place of the remote that keeps promoted bytes, as far as can be said without asking a server.

    Raises:
        StageError: No such remote, a missing plugin, or a folder that cannot be made or written.
    """
    from dvc.fs import known_implementations

    name, settings = _remote_settings(paths, remote)
    url = str(settings.get("url", ""))
    change = f"change it with `dvc remote modify {shlex.quote(name)} url URL`"
    scheme, separator, _ = url.partition("://")
    if separator and not url.isprintable():
        raise StageError(f"DVC remote {name}: {url!r} has a line feed or another control character; {change}")
    if separator and scheme not in ("local", "file"):
        known = known_implementations[scheme]  # DVC reads no configuration with another scheme
        if importlib.util.find_spec(known["class"].split(".")[0]) is None:
            raise StageError(
                f"DVC remote {name}: {url} needs a plugin of DVC that is absent; `.venv/bin/pip install "
                f"{known['class'].split('.')[0].replace('_', '-')}`, or {change}"
            )
        return f"{name}: {url}"
    folder = Path(url.removeprefix("file://").removeprefix("local://"))
    above = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        what = "is a file" if not above.is_dir() else "cannot be written by you"
        made = "" if above == folder else f", so {folder} cannot be made"
        raise StageError(f"DVC remote {name}: {above} {what}{made}; fix that, or {change}")
    return f"{name}: {url}"


def _dvc(paths: ArtifactPaths, *arguments: str, what: str) -> None:
    _dvc_in(paths.root, *arguments, what=what)


def _dvc_in(folder: Path, *arguments: str, what: str) -> None:
    done = subprocess.run(  # noqa: S603  a fixed program and argv, no shell
        dvc_command(*arguments),
        cwd=folder,
        env=stage_environment(),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        # Without its own -q, which would hide the reason too; what follows the reason is where to ask for help.
        said = [line for line in done.stderr.splitlines() if line.strip() and "Having any troubles?" not in line]
        lines = [line for line in said if line.startswith("ERROR")] or said
        reason = lines[-1].removeprefix("ERROR: ") if lines else "no message"
        raise StageError(f"{what}: {reason}; look at `dvc remote list` and `ratchet doctor`, then try again")
