"""Which metrics an lm-eval task gives, read from its YAML before anything is run."""

import difflib
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError

ROLLING = {"word_perplexity": "nats_per_word", "byte_perplexity": "nats_per_byte", "bits_per_byte": "bits_per_byte"}
"""A rolling task's metrics -> the ratios of sums that its results hold in their place."""


def task_metrics(name: str) -> tuple[str, ...] | None:
    """Metrics of a task or group, sorted; None where its YAML does not list them, or the task is code.

    A task lies in a folder that its name begins with, nearly always: that folder alone is indexed, since lm-eval's
    whole index takes many seconds. Whatever is not found so is looked up there.

    Raises:
        UsageError: lm-eval has no such task; names the nearest.
    """
    from lm_eval.tasks import TaskManager

    folders = _folders(name)
    if folders:
        found = _metrics(TaskManager(include_path=folders, include_defaults=False), name)
        if found is not None:
            return found
    return _metrics(_checked_index(name), name)


def index_of(name: str) -> Any:
    """An index that has a task or group and all its leaves: that of its folder alone where it does.

    Raises:
        UsageError: lm-eval has no such task; names the nearest.
    """
    from lm_eval.tasks import TaskManager

    folders = _folders(name)
    if folders:
        manager = TaskManager(include_path=folders, include_defaults=False)
        if name in manager.all_tasks and _has_leaves(manager, name):
            return manager
    return _checked_index(name)


def has_folder(name: str) -> bool:
    """Whether lm-eval has a folder for tasks of that name; asked in no time, where its index takes many seconds."""
    return bool(_folders(name))


def _has_leaves(manager: Any, name: str) -> bool:
    try:
        return all(leaf in manager.task_index for leaf in leaf_tasks(manager, name))
    except (KeyError, TypeError, AttributeError):
        return False


def _checked_index(name: str) -> Any:
    manager = task_index()
    if name not in manager.all_tasks:
        near = ", ".join(difflib.get_close_matches(name, manager.all_tasks, n=3)) or "none alike"
        raise UsageError(
            f"lm-eval {version('lm_eval')} has no task {name!r}; nearest: {near}; change the name, or "
            "evaluation.harness.tasks"
        )
    return manager


@cache
def task_index() -> Any:
    """Every task that lm-eval knows; reading its folders takes many seconds, so once a process."""
    from lm_eval.tasks import TaskManager

    return TaskManager()


def leaf_tasks(manager: Any, name: str) -> list[str]:
    """A task's own name, or the tasks of a group or tag, so that each can be given another data source."""
    from lm_eval.tasks._yaml_loader import load_yaml

    entry = manager.task_index[name]
    if name in manager.all_subtasks:
        return [name]
    children = entry.tags or load_yaml(entry.yaml_path, resolve_func=False, recursive=True).get("task", [])
    names = [child if isinstance(child, str) else child.get("task", child.get("group")) for child in children]
    return [leaf for child in names for leaf in leaf_tasks(manager, child)]


def _folders(name: str) -> list[str]:
    spec = find_spec("lm_eval")
    if spec is None or spec.origin is None:
        return []
    root = Path(spec.origin).parent / "tasks"
    parts = name.split("_")
    names = ["_".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return [str(root / each) for each in names if (root / each).is_dir()][:1]


def _metrics(manager: Any, name: str) -> tuple[str, ...] | None:
    """The union over the leaf tasks; None where one of them does not say, or is not in the index."""
    from lm_eval.api.registry import DEFAULT_METRIC_REGISTRY
    from lm_eval.tasks._yaml_loader import load_yaml

    found: set[str] = set()
    try:
        for leaf in leaf_tasks(manager, name):
            config = load_yaml(manager.task_index[leaf].yaml_path, resolve_func=False, recursive=True)
            kind = config.get("output_type", "generate_until")
            listed = config.get("metric_list") or [{"metric": each} for each in DEFAULT_METRIC_REGISTRY.get(kind, ())]
            names = {each.get("metric") for each in listed}
            if "class" in config or not names or not all(isinstance(each, str) for each in names):
                return None
            found |= {ROLLING.get(each, each) for each in names} if kind == "loglikelihood_rolling" else names
    except (KeyError, TypeError, AttributeError):
        return None  # a task that is a Python class, or one of another folder
    return tuple(sorted(found))
