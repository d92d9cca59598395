"""The pipeline: data, plan, training, evaluation, comparison, gate, report, promotion.

Every stage is run by DVC (``dvc repro --single-item``); Prefect adds the schedule, retries, timeouts and the UI.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, wait
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner

from evalsuite.core.errors import BusyError
from evalsuite.gate.decision import Verdict
from tasks.config.params import Params, load_params
from tasks.paths import ArtifactPaths
from tasks.pipeline.compared import compared_inputs
from tasks.pipeline.project_lock import only_run
from tasks.pipeline.runner import pending_stages
from tasks.prefect_tasks import promote_task, record_verdict_task, run_stage_task
from tasks.preflight.checks import check
from tasks.preflight.remote_inputs import prove_needed
from tasks.registry.champion import awaits_promotion
from tasks.registry.journal import Run, journal


@flow(name="finetune-and-gate", validate_parameters=False, persist_result=False)
def finetune_and_gate(root: str = ".", promote: bool = True, checked: bool = False) -> Verdict | State[Any]:
    """Fine-tune by every method, evaluate, compare, decide, report; promote only on a PROMOTE.

    Args:
        root: The project's root.
        promote: False leaves the champion alone whatever params say.
        checked: The caller has checked params.yaml and the files that it names, as ``ratchet run`` does at once.

    Returns:
        The verdict, and the decision is in reports/decision.json; or a state named Skipped, because another run was
        there.
    """
    logger = get_run_logger()
    with ExitStack() as stack:
        try:
            stack.enter_context(only_run(Path(root), "scheduled run"))
        except BusyError as busy:
            logger.warning("skipped: %s", busy)
            return Completed(name="Skipped", message=f"skipped: {busy}")
        paths = ArtifactPaths(Path(root))
        run = stack.enter_context(journal(paths, "ratchet run" if checked else "scheduled run"))
        return _finetune_and_gate(paths, promote, checked, run)


def _finetune_and_gate(paths: ArtifactPaths, promote: bool, checked: bool, run: Run) -> Verdict:
    params = load_params(paths.params)
    logger = get_run_logger()
    root = str(paths.root)
    pending = pending_stages(paths.root)
    if not pending:
        logger.info("inputs did not change since the last run: nothing to do; %s", compared_inputs(paths.root))
    else:
        run.changed = {item.name: item.reason for item in pending if item.is_cause}
        if not checked:
            check(params, paths)
            prove_needed(params, [item.name for item in pending])
        run_pipeline(root, params, run.ran)
    decision = record_verdict_task(root)
    logger.info("%s", decision.headline)
    if promote and params.promote.automatic and awaits_promotion(decision, paths):
        logger.info(promote_task(root, params.promote))
        # The champion is this candidate now: look at the pin again, so that the next run finds nothing to do.
        run_stages(["inputs", "baseline"], root, params, run.ran)
    return decision.verdict


class Phase(NamedTuple):
    """What people call a group of stages."""

    title: str
    stages: tuple[str, ...]
    at_once: int = 1


def phases(params: Params) -> list[Phase]:
    """All stages in order; methods train side by side as far as ``schedule.parallel_methods`` lets them."""
    at_once = params.schedule.parallel_methods
    together = [tuple(params.methods)] if at_once > 1 else [(method,) for method in params.methods]

    def by_method(title: str, stage: str) -> list[Phase]:
        return [
            Phase(f"{title} {', '.join(methods)}", tuple(f"{stage}@{each}" for each in methods), at_once)
            for methods in together
        ]

    return [
        Phase("preparing data", ("inputs", "fetch", "prepare", "baseline")),
        Phase("planning memory, time and cost", tuple(f"plan@{method}" for method in params.methods)),
        *by_method("training", "train"),
        Phase("evaluating base", ("evaluate_baseline@base",)),
        Phase("evaluating the champion", ("evaluate_baseline@champion", "contamination", "stopping")),
        *by_method("evaluating", "evaluate"),
        Phase("comparing and judging", ("compare", "gate", "report")),
    ]


def run_pipeline(root: str, params: Params, ran: list[str]) -> None:
    """Run all phases; each is said in the log by a record with ``phase``, its number and how many there are.

    Args:
        root: The project's root.
        params: Of the project.
        ran: Takes the names of the stages that DVC did not skip.
    """
    logger = get_run_logger()
    todo = phases(params)
    for number, phase in enumerate(todo, 1):
        place = (number, len(todo))
        logger.info("[%d/%d] %s ...", *place, phase.title, extra={"phase": place})
        run_stages(phase.stages, root, params, ran, phase.at_once)


def run_stages(names: Iterable[str], root: str, params: Params, ran: list[str], at_once: int = 1) -> None:
    """Run stages in order, or ``at_once`` at a time where they do not read each other; ``ran`` takes who ran."""
    timeout = float(params.schedule.stage_timeout_seconds)
    stage = run_stage_task.with_options(retries=params.schedule.retries)
    if at_once == 1:
        for name in names:
            if not stage(name, root, timeout).skipped:
                ran.append(name)
        return
    with ThreadPoolTaskRunner[Any](max_workers=at_once) as runner:
        futures: list[PrefectFuture[Any]] = [
            runner.submit(stage, parameters={"name": name, "root": root, "timeout_seconds": timeout}) for name in names
        ]
        wait(futures)
        ran.extend(done.name for done in (future.result() for future in futures) if not done.skipped)
