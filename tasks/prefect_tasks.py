"""The stages as Prefect tasks: retries, timeouts, streamed logs and the verdict as an artifact.

DVC owns caching, so Prefect's cache is off; results cross by file, so nothing is persisted here either.
"""

from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from evalsuite.comparison.rows import read_comparison
from evalsuite.core.errors import BusyError, UsageError
from evalsuite.gate.decision import Decision, read_decision
from evalsuite.report.forms.markdown import markdown_summary
from tasks.config.operations import PromoteParams
from tasks.paths import ArtifactPaths
from tasks.pipeline.runner import StageRun, run_stage


def _a_retry_can_help(_task: "Task[..., object]", _run: TaskRun, state: "State[object]") -> bool:
    """Wrong configuration or input stays wrong, another run goes on; a lost connection or a full disk may pass."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, UsageError | BusyError)


@task(
    name="stage",
    task_run_name="stage-{name}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retry_delay_seconds=5,
    retry_condition_fn=_a_retry_can_help,
)
def run_stage_task(name: str, root: str, timeout_seconds: float) -> StageRun:
    """Bring one stage up to date; its output becomes this task's log."""
    logger = get_run_logger()
    run = run_stage(name, Path(root), timeout_seconds, on_line=logger.info)
    if run.skipped:
        logger.info("%s is up to date", name)
    return run


@task(name="verdict", cache_policy=NO_CACHE, persist_result=False)
def record_verdict_task(root: str) -> Decision:
    """Count the verdict in the ledger and show it in Prefect's UI."""
    from tasks.registry.ledger import record_verdict

    paths = ArtifactPaths(Path(root))
    decision = read_decision(paths.decision)
    record_verdict(decision, paths)
    markdown = markdown_summary(decision, read_comparison(paths.comparison), paths.report.resolve())
    create_markdown_artifact(key="promotion-verdict", markdown=markdown)
    return decision


@task(name="promote", cache_policy=NO_CACHE, persist_result=False)
def promote_task(root: str, params: PromoteParams) -> str:
    """Verify the decision and the bytes again, then move the champion.

    A champion that moved meanwhile is not retried: the gate must run again.
    """
    from tasks.registry.promote import promote

    return str(promote(ArtifactPaths(Path(root)), params=params).summary)
