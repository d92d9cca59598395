"""The promotion report and the model card, from everything that the run left behind."""

import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalsuite.comparison.rows import Comparison, read_comparison
from evalsuite.contamination.overlap import ContaminationReport, clean_result, read_contamination
from evalsuite.core.credentials import without_secrets
from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import read_json, read_model, write_text
from evalsuite.gate.decision import Decision, Verdict, read_decision
from evalsuite.gate.policy import GatePolicy
from evalsuite.items.results import ScoreTable, SuiteSummary, read_result
from evalsuite.report.build import build_html
from evalsuite.report.data import Command, ReportData, TrainingRun
from evalsuite.report.facts.safety import HARM, REFUSAL
from evalsuite.report.forms.card import build_model_card
from tasks.base_model.licence import base_licence
from tasks.config.compare import CompareParams, SequentialParams
from tasks.config.model import ModelParams
from tasks.config.prepare import PrepareParams
from tasks.config.training import TrainingSections
from tasks.paths import ArtifactPaths
from tasks.pin import read_pin
from tasks.registry.evidence import MAKE_CONTAMINATION, data_counts, run_inputs
from tasks.registry.past import inputs_of_champion, read_past
from tasks.stages.compare import has_champion, read_suites, read_train_log

PARAMS_SHOWN = ("model", "prepare", "hardware", "methods", "train", "evaluation", "sequential", "compare", "gate")
"""Sections that decide what the run does; promotion and schedule do not."""
PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "deepspeed",
    "bitsandbytes",
    "datasets",
    "tokenizers",
    "lm_eval",
    "bert-score",
    "evaluate",
    "numpy",
    "scipy",
    "pyarrow",
    "pydantic",
    "dvc",
    "prefect",
    "ratchet-ft",
)
UNKNOWN_COMMIT = "unknown"
DIRTY = "-dirty"


class Sections(TrainingSections):
    """What the stage shows of params.yaml; of the suites, what evaluation wrote beside their results."""

    model: ModelParams
    prepare: PrepareParams
    sequential: SequentialParams = SequentialParams()
    compare: CompareParams = CompareParams()
    gate: GatePolicy


def run(params: Sections, paths: ArtifactPaths) -> Decision:
    """Write reports/model_card.md, then reports/promotion.html.

    Raises:
        MissingArtifactError: A stage before this one has not run.
        UsageError: A file is not what it should be, or the decision is on another candidate than the comparison.
    """
    data = gather(params, paths)
    write_text(paths.model_card, build_model_card(data))
    write_text(paths.report, build_html(data))
    return data.decision


def gather(params: Sections, paths: ArtifactPaths) -> ReportData:
    """Read everything that the report shows; see ``run`` for what it raises."""
    decision, comparison = read_decision(paths.decision), read_comparison(paths.comparison)
    _check_agreement(decision, comparison, paths)
    models = ["base", *(["champion"] if has_champion(paths) else []), decision.candidate]
    revision = f"@{params.model.revision}" if params.model.revision else ""
    licence, licence_from = base_licence(params.model)
    evaluated = read_json(paths.eval_settings(decision.candidate), f"ratchet stage evaluate@{decision.candidate}")
    shown = params.model_dump(mode="json", include=set(PARAMS_SHOWN), exclude_none=True)
    found = read_contamination(paths.contamination, MAKE_CONTAMINATION) if paths.contamination.is_file() else None
    pin, commit = read_pin(paths), git_commit(paths.root)
    champion = pin.champion.identity if pin.champion else None
    return ReportData(
        decision=decision,
        comparison=comparison,
        results={name: read_suites(name, paths) for name in models},
        training={
            row.name: TrainingRun.model_validate(read_train_log(row.name, paths).model_dump())
            for row in comparison.methods
        },
        plans=_plans(paths, comparison),
        params=without_secrets({**shown, "evaluation": evaluated["evaluation"]}),
        base_model=params.model.id + revision,
        licence=licence,
        licence_from=licence_from,
        written=datetime.now(UTC),
        datasets=params.prepare.hub_ids,
        git_commit=commit,
        versions=versions(),
        method_tables=_method_tables(comparison, found, paths),
        contamination=found,
        run_inputs=run_inputs(paths),
        data_counts=data_counts(paths),
        champion_inputs=inputs_of_champion(paths, champion) if champion else None,
        past=read_past(paths, decision.decision_id),
        commands=commands(decision, champion, commit),
    )


def commands(decision: Decision, champion: str | None, commit: str) -> tuple[Command, ...]:
    """What replays the decision, fetches what it is about, and goes back."""
    replay = Command(what="Judge the stored items again", command=f"ratchet gate replay {decision.decision_id[:16]}")
    own = Command(
        what="Fetch the candidate as this run left it", command=f"dvc checkout models/{decision.candidate}/export"
    )
    found = [replay, own]
    if champion:
        pointer = f"registry/models/{champion[:16]}.dvc"
        found.append(Command(what="Fetch the champion it was judged against", command=f"dvc pull {pointer}"))
    if commit != UNKNOWN_COMMIT and not commit.endswith(DIRTY):
        found.append(Command(what="Bring back code and settings of this run", command=f"git checkout {commit}"))
    promotes = decision.verdict is Verdict.PROMOTE
    if promotes:
        pointer = f"registry/models/{decision.candidate_identity[:16]}.dvc"
        found += [
            Command(what="Make it the champion", command="ratchet promote"),
            Command(what="Fetch it once it is the champion", command=f"dvc pull {pointer}"),
        ]
    if promotes and not champion:
        found.append(Command(what="Have no champion again", command="ratchet rollback --to none --reason TEXT"))
    elif champion:
        found.append(Command(what="Go back to the champion before", command="ratchet rollback --reason TEXT"))
    return tuple(found)


def git_commit(root: Path) -> str:
    """The commit that is checked out, with ``-dirty`` where tracked files differ; ``unknown`` outside git.

    What the run itself writes (dvc.lock, registry) does not count.
    """
    found = _git(root, "rev-parse", "HEAD")
    if found is None:
        return UNKNOWN_COMMIT
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock", ":!registry")
    return f"{found}{DIRTY}" if changed else found


def versions() -> dict[str, str]:
    """Python and every package that can change a result; ``absent`` where it is not installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command; None where there is no git or no repository."""
    try:
        done = subprocess.run(  # noqa: S603  constant arguments
            ["git", *arguments],  # noqa: S607  the user's own git
            cwd=root,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=60,
        )
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired:
        raise StageError(
            f"`git {' '.join(arguments)}` did not answer in 60 s; run `ratchet stage report` again"
        ) from None
    return done.stdout.strip() if done.returncode == 0 else None


def _plans(paths: ArtifactPaths, comparison: Comparison) -> dict[str, Any]:
    """One plan per method, as it stands; a method that was planned elsewhere has none."""
    found = {row.name: paths.plan(row.name) for row in comparison.methods}
    return {name: read_json(path, f"ratchet stage plan@{name}") for name, path in found.items() if path.is_file()}


def _method_tables(
    comparison: Comparison, found: ContaminationReport | None, paths: ArtifactPaths
) -> dict[str, dict[str, ScoreTable]]:
    """The scores of methods that are no candidate, on the suites that a plot compares all methods on."""
    wanted = {comparison.choice.suite, HARM[0], REFUSAL[0]}
    tables: dict[str, dict[str, ScoreTable]] = {}
    for row in comparison.methods:
        made_by = f"ratchet stage evaluate@{row.name}"
        for path in sorted(paths.evals(row.name).glob("*/summary.json")) if row.name != comparison.candidate else ():
            if read_model(path, SuiteSummary, made_by).suite in wanted:
                result = read_result(path.parent, made_by)
                table = (clean_result(result, found) if found else result).table()
                tables.setdefault(row.name, {})[table.info.suite] = table
    return tables


def _check_agreement(decision: Decision, comparison: Comparison, paths: ArtifactPaths) -> None:
    if decision.candidate != comparison.candidate:
        raise UsageError(
            f"{paths.decision} judges {decision.candidate!r} and {paths.comparison} chose {comparison.candidate!r}; "
            "run `ratchet stage gate`"
        )
    identity = comparison.method(comparison.candidate).identity
    if decision.candidate_identity != identity:
        raise UsageError(
            f"{paths.decision} judges model {decision.candidate_identity[:12]} and {paths.comparison} compares "
            f"{identity[:12]}; run `ratchet stage compare`, then `ratchet stage gate`"
        )


def stage(params: Sections, paths: ArtifactPaths) -> str:
    """Do the work; returns its summary."""
    decision = run(params, paths)
    return f"{decision.verdict}: {paths.report} and {paths.model_card} written"
