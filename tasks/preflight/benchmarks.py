"""Which benchmarks in use lie outside the project, so that no training row repeats their items either."""

from pathlib import Path

from evalsuite.suites.lm_eval.data import judged_splits
from evalsuite.suites.lm_eval.suite import SUITE as HARNESS
from tasks.config.evaluation import EvaluationParams
from tasks.config.prepare import HUB_SOURCE, HubSource
from tasks.data.held_out_items import READERS
from tasks.evaluation.suites import sections_of
from tasks.prepare.inputs.benchmarks import UNREAD

OTHERS = "evaluation.suites."


def benchmarks_outside(params: EvaluationParams, root: Path = Path()) -> dict[str, str]:
    """For plans/inputs/prepare.json: ``hub:NAME@COMMIT:SPLIT`` -> suite, and ``suite NAME`` -> why it is not read.

    Files of the project are not among them: every suite's lie below golden_sets or data/suites, where preparation reads
    all.

    Raises:
        UsageError: A dataset has no commit, or there is no such suite.
    """
    found: dict[str, str] = {}
    harness = params.section(HARNESS)
    for task in harness.tasks if harness is not None and harness.data_root is None else ():
        for repo, config, split in judged_splits(task, harness.revisions if harness else {}):
            source = str(HubSource(repo.name, repo.commit, config, split))
            if HUB_SOURCE.fullmatch(source):
                found.setdefault(source, task)
            else:
                found[f"{UNREAD}{task}"] = f"it judges by {split!r} of {repo.name}, which is no split by name"
    for where, entry, settings in sections_of(params):
        if where.startswith(OTHERS):
            files = [root / path for path in entry.files_of(settings).values()]
            if not any(_is_read(path) for path in files):
                why = f"no file of it is {', '.join(READERS)}" if files else "its package alone knows its items"
                found[f"{UNREAD}{where.removeprefix(OTHERS)}"] = why
    return found


def _is_read(path: Path) -> bool:
    """Whether preparation reads a file of items, or one below the folder."""
    return any(each.suffix.lower() in READERS and each.is_file() for each in (path, *path.rglob("*")))
