"""Models and datasets of a hub at a pinned commit: whether they are on this machine, and how they come here.

A hub that does not answer is found out by one request of a few seconds, before the libraries' own long retries.
"""

import json
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import RatchetError, StageError, UsageError
from evalsuite.network.network_errors import is_network_error, said_by

PROBE_SECONDS = 5.0
COMMIT = re.compile(r"[0-9a-f]{40}")
OTHER_FORMATS = ("onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.onnx", "*.gguf", "*.tflite", "coreml/*")
"""Weights in formats that transformers does not load here."""
HOMES = "set HF_HOME to a folder that holds it"


class RepoKind(StrEnum):
    """What a repository of a hub holds; the hub's own words."""

    MODEL = "model"
    DATASET = "dataset"


class HubRepo(NamedTuple):
    """A repository of a hub at one commit."""

    kind: RepoKind
    name: str
    commit: str

    def __str__(self) -> str:
        """Such as ``dataset google/IFEval at commit 966cd89545d6``."""
        return f"{self.kind} {self.name} at commit {self.commit[:12]}"


def address() -> str:
    """Of the hub: https://huggingface.co, or HF_ENDPOINT."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def check_commit(key: str, name: str, commit: str | None, revision_key: str) -> str:
    """A hub id's commit.

    Raises:
        UsageError: No commit is given, or it is a branch, whose content may change.
    """
    if commit is not None and COMMIT.fullmatch(commit):
        return commit
    given = "is not set" if commit is None else f"= {commit!r} is not a commit (40 hex digits)"
    raise UsageError(
        f"{key} = {name!r} is not a folder here, so it is a hub id, and {revision_key} {given}; set "
        f"{revision_key} to a commit: `git ls-remote {address()}/{name} HEAD` prints the newest one"
    )


def here(repo: HubRepo) -> Path | None:
    """The folder of this machine that holds the repository at its commit; asks no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        found = snapshot_download(
            repo.name,
            repo_type=repo.kind.value,
            revision=repo.commit,
            local_files_only=True,
            ignore_patterns=_left_out(repo),
        )
    except (OSError, HFValidationError):
        return None
    folder = Path(found)
    return folder if _is_whole(repo, folder) else None


def reach(repo: HubRepo, key: str, remedy: str) -> tuple[str, ...]:
    """Ask the hub for the repository at its commit, once and for a few seconds.

    Args:
        repo: What is wanted.
        key: The line of params.yaml that names it.
        remedy: What else the user can do, beside going online.

    Returns:
        Names of its files.

    Raises:
        UsageError: The hub has no such repository or commit, or gives it to nobody without a key.
        StageError: The hub does not answer.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    start = f"{key} needs the {repo} from {address()}"
    if constants.HF_HUB_OFFLINE:
        raise UsageError(
            f"{start}; it is not on this machine, and HF_HUB_OFFLINE forbids downloads: unset it, {HOMES}, or {remedy}"
        )
    api = HfApi()
    ask: Any = api.model_info if repo.kind is RepoKind.MODEL else api.dataset_info
    try:
        return tuple(file.rfilename for file in ask(repo.name, revision=repo.commit, timeout=PROBE_SECONDS).siblings)
    except GatedRepoError:
        raise UsageError(
            f"{start}, which requires an account: accept its terms there and set HF_TOKEN, or {remedy}"
        ) from None
    except RevisionNotFoundError:
        raise UsageError(f"{start}, which has no such commit: set another one, or {remedy}") from None
    except (RepositoryNotFoundError, HFValidationError):
        raise UsageError(
            f"{start}, which has no such {repo.kind} or shows it only to its owners: correct the name, set HF_TOKEN, "
            f"or {remedy}"
        ) from None
    except Exception as error:
        if isinstance(error, RatchetError) or not is_network_error(error):
            raise
        raise StageError(
            f"{start}; it is not on this machine, and that address does not answer ({said_by(error)}): go online, "
            f"{HOMES}, or {remedy}"
        ) from None


def fetched(repo: HubRepo, key: str, remedy: str) -> Path:
    """The folder with the repository at its commit, downloaded where it is not here yet; see ``reach``."""
    folder = here(repo)
    if folder is not None:
        return folder
    files = reach(repo, key, remedy)
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(
            repo.name, repo_type=repo.kind.value, revision=repo.commit, ignore_patterns=_left_out(repo, files)
        )
    except Exception as error:
        if not is_network_error(error):
            raise
        raise StageError(
            f"{key}: the download of the {repo} from {address()} stopped ({said_by(error)}); run the same command "
            "again to go on"
        ) from None
    folder = here(repo)
    if folder is None:
        raise UsageError(f"{key}: the {repo} of {address()} has no weights that can be loaded; {remedy}")
    return folder


def _left_out(repo: HubRepo, files: Sequence[str] | None = None) -> list[str] | None:
    """Files that are not loaded: other formats, and pickled weights where there are safetensors."""
    if repo.kind is RepoKind.DATASET:
        return None
    pickles = ["*.bin", "*.pt", "*.pth"]
    safe = files is None or any(name.endswith(".safetensors") for name in files)
    return [*OTHER_FORMATS, *(pickles if safe else [])]


def _is_whole(repo: HubRepo, folder: Path) -> bool:
    """Whether weights are there; an interrupted download leaves a snapshot without them."""
    if repo.kind is RepoKind.DATASET:
        return any(folder.iterdir())
    weights = [path for pattern in ("*.safetensors", "*.bin") for path in folder.glob(pattern) if path.is_file()]
    shards = [shard for index in folder.glob("*.safetensors.index.json") for shard in _shards(index)]
    return (folder / "config.json").is_file() and bool(weights) and all((folder / name).is_file() for name in shards)


def _shards(index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {index.name + " is damaged"}
