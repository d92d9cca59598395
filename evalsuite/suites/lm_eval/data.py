"""Where lm-eval's tasks take their rows from when no local files stand in: datasets of a hub, each at one commit."""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

from evalsuite.core.errors import StageError, UsageError
from evalsuite.network.hub import PROBE_SECONDS, HubRepo, RepoKind, fetched
from evalsuite.network.outside import Need, Outside, Package, Repository
from evalsuite.suites.lm_eval.metrics import index_of, leaf_tasks
from evalsuite.suites.lm_eval.settings import HarnessParams

SPLITTER = "tokenizers/punkt_tab"
"""NLTK's sentence splitter, which IFEval's checkers ask for."""


def key_of(task: str) -> str:
    """How a message names the line of params.yaml that turns a task on."""
    return f"suite {task} (evaluation.harness.tasks, or a rule on it in gate.rules)"


def remedy_of(task: str) -> str:
    """What helps where there is no hub."""
    return (
        f"name a folder with {task}/test.jsonl in evaluation.harness.data_root, or leave {task} out: take its rules "
        "out of gate.rules and its line out of evaluation.harness.tasks"
    )


@dataclass(frozen=True)
class SentenceSplitter:
    """NLTK's, where a task asks for it."""

    task: str

    def need(self) -> Need:
        """That NLTK has it on this machine."""
        fetch = lambda: prove_sentence_splitter(self.task)  # noqa: E731
        what = f"NLTK's {SPLITTER}, from NLTK's own server"
        return Need(key_of(self.task), what, has_sentence_splitter, fetch, fetch)


def outside_of(params: HarnessParams) -> Iterator[Outside]:
    """lm-eval itself, and without a ``data_root`` the datasets that its tasks read."""
    if params.tasks:
        yield Package("lm_eval")
    for task in params.tasks if params.data_root is None else ():
        for repo in hub_datasets(task, params.revisions):
            yield Repository(key_of(task), repo, remedy_of(task))
        if "ifeval" in task:
            yield SentenceSplitter(task)


def hub_datasets(task: str, revisions: Mapping[str, str]) -> tuple[HubRepo, ...]:
    """The datasets that a task or group reads from a hub, each at its commit; nothing is asked of the hub.

    Raises:
        UsageError: lm-eval has no such task, or a dataset of it has no commit in ``revisions``.
    """
    manager = index_of(task)
    found = [pinned_dataset(manager, leaf, revisions) for leaf in leaf_tasks(manager, task)]
    return tuple(dict.fromkeys(found))


def judged_splits(task: str, revisions: Mapping[str, str]) -> tuple[tuple[HubRepo, str | None, str], ...]:
    """(dataset, configuration, split) of the items that a task or group judges by; asks no hub.

    As lm-eval chooses it: the test split, or without one the validation split. Raises like ``hub_datasets``.
    """
    manager = index_of(task)
    found = []
    for leaf in leaf_tasks(manager, task):
        config = _config(manager, leaf)
        split = config.get("test_split") or config.get("validation_split")
        if split:
            found.append((pinned_dataset(manager, leaf, revisions), config.get("dataset_name"), str(split)))
    return tuple(dict.fromkeys(found))


def pinned_dataset(manager: Any, leaf: str, revisions: Mapping[str, str]) -> HubRepo:
    """The dataset of one leaf task.

    Raises:
        UsageError: It has no commit in ``revisions``, or the task loads its data by code.
    """
    dataset = _config(manager, leaf).get("dataset_path")
    if dataset not in revisions:
        what = f"reads the hub dataset {dataset}" if dataset else "loads its data by code of its own"
        remedy = f"pin it: evaluation.harness.revisions: {{{dataset}: COMMIT}}" if dataset else "give a data_root"
        raise UsageError(f"lm-eval task {leaf!r} {what}, which may change between two models; {remedy}")
    return HubRepo(RepoKind.DATASET, str(dataset), revisions[str(dataset)])


def hub_overrides(manager: Any, leaf: str, repo: HubRepo, suite: str) -> dict[str, Any]:
    """What lets a leaf task read its dataset's files at the commit, from this machine.

    Where the hub does not answer, lm-eval would take the newest version that was ever prepared here, of any commit.

    Raises:
        UsageError: The hub has no such dataset.
        StageError: The dataset is not here, and the hub does not answer.
    """
    folder = fetched(repo, key_of(suite), remedy_of(suite))
    kept = {k: v for k, v in (_config(manager, leaf).get("dataset_kwargs") or {}).items() if k != "trust_remote_code"}
    return {"dataset_path": str(folder), "dataset_kwargs": kept}


def prove_sentence_splitter(task: str) -> None:
    """Fetch NLTK's splitter where IFEval needs it and it is not here: without it, lm-eval fails on single answers.

    Raises:
        StageError: It is not here, and cannot be fetched.
    """
    if "ifeval" not in task or has_sentence_splitter():
        return
    import nltk

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PROBE_SECONDS)
    try:
        # What it prints of its own, in spite of quiet, says less than the error below.
        nltk.download(SPLITTER.rpartition("/")[2], quiet=True, print_error_to=StringIO())
    finally:
        socket.setdefaulttimeout(before)
    if not has_sentence_splitter():
        raise StageError(
            f"{key_of(task)} needs NLTK's {SPLITTER}, which is not on this machine and cannot be downloaded: set "
            f"NLTK_DATA to a folder that holds it, such as golden_sets/retention/nltk_data, or {remedy_of(task)}"
        )


def has_sentence_splitter() -> bool:
    """Whether NLTK finds it on this machine."""
    import nltk

    try:
        nltk.data.find(SPLITTER)
    except LookupError:
        return False
    return True


def _config(manager: Any, leaf: str) -> dict[str, Any]:
    from lm_eval.tasks._yaml_loader import load_yaml

    return dict(load_yaml(manager.task_index[leaf].yaml_path, resolve_func=False, recursive=True))
