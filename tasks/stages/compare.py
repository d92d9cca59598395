"""Methods side by side: reads every evaluation, writes reports/comparison.json."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from evalsuite.comparison.methods import MethodEvidence, ModelEvidence, compare_methods
from evalsuite.comparison.rows import Comparison, MethodChoice
from evalsuite.comparison.seeds import Seeded
from evalsuite.contamination.overlap import ContaminationReport, clean_result, read_contamination
from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import read_json, write_json
from evalsuite.items.results import SuiteResult, read_result
from evalsuite.records.evidence import read_costs
from tasks.config.compare import CompareParams
from tasks.config.hardware import HardwareParams
from tasks.config.methods import MethodParams, seed_sets
from tasks.config.section import StageSections
from tasks.config.train import TrainParams
from tasks.paths import ArtifactPaths
from tasks.training.state.log import TrainLog

ABSENT_NAME = "absent.json"
MAKE_CONTAMINATION = "ratchet stage contamination"
Model = TypeVar("Model", bound=ModelEvidence)


def run(
    compare: CompareParams,
    hardware: HardwareParams,
    methods: Iterable[str],
    paths: ArtifactPaths,
    seed_sets: Iterable[Sequence[str]] = (),
) -> Comparison:
    """Compare the methods on every suite, choose the candidate and write the comparison.

    Items that the training rows give away are left out, as in the gate. Of the methods in each of ``seed_sets``, which
    differ in the seed alone, one is compared.

    Raises:
        MissingArtifactError: A model was not evaluated, or the items were not checked for contamination.
        NotComparableError: Two methods were not measured alike.
        UsageError: A file is not what it should be.
    """
    found = read_contamination(paths.contamination, MAKE_CONTAMINATION)
    comparison = compare_methods(
        [_clean(_method(name, paths), found) for name in methods],
        [_clean(_model(name, paths), found) for name in ("base", *(["champion"] if has_champion(paths) else []))],
        MethodChoice.model_validate(compare.model_dump()),
        hardware.price_per_hour,
        hardware.currency,
        [_seeded(names, paths) for names in seed_sets],
    )
    if found.excluded:
        left_out = ", ".join(f"{count} of {suite}" for suite, count in found.excluded.items())
        because = f"{comparison.chosen_because}; without the items that training rows give away: {left_out}"
        comparison = comparison.model_copy(update={"chosen_because": because})
    write_json(paths.comparison, comparison)
    return comparison


def has_champion(paths: ArtifactPaths) -> bool:
    """Whether this run is judged against a champion; before the first promotion there is none.

    Raises:
        MissingArtifactError: The champion's evaluation did not run.
    """
    folder = paths.evals("champion")
    if (folder / ABSENT_NAME).is_file():
        return False
    if not folder.is_dir():
        raise MissingArtifactError(f"no folder {folder}; make it with `{_stage('champion')}`")
    return True


def read_suites(name: str, paths: ArtifactPaths) -> Mapping[str, SuiteResult]:
    """Every suite of one model, by suite name.

    Raises:
        MissingArtifactError: The model has no finished suite.
    """
    results = [
        read_result(summary.parent, _stage(name)) for summary in sorted(paths.evals(name).glob("*/summary.json"))
    ]
    if not results:
        raise MissingArtifactError(f"no finished suite under {paths.evals(name)}; make them with `{_stage(name)}`")
    return {result.info.suite: result for result in results}


def read_train_log(name: str, paths: ArtifactPaths) -> TrainLog:
    """The training log that was evaluated with a method's weights.

    Raises:
        MissingArtifactError: It is absent.
        UsageError: It is of another schema.
    """
    path: Path = paths.evals(name) / "train_log.json"
    data = read_json(path, _stage(name))
    try:
        return TrainLog.model_validate(data)
    except ValidationError as error:
        issue = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in issue["loc"])
        raise UsageError(f"{path}: {where}: {issue['msg']}; make it again with `{_stage(name)}`") from None


def _stage(name: str) -> str:
    stage = "evaluate_baseline" if name in ("base", "champion") else "evaluate"
    return f"ratchet stage {stage}@{name}"


def _clean(model: Model, found: ContaminationReport) -> Model:
    return replace(model, suites={name: clean_result(result, found) for name, result in model.suites.items()})


def _model(name: str, paths: ArtifactPaths) -> ModelEvidence:
    return ModelEvidence(name, read_suites(name, paths), read_costs(paths.evals(name)))


def _method(name: str, paths: ArtifactPaths) -> MethodEvidence:
    log = read_train_log(name, paths)
    evidence = MethodEvidence(
        name, read_suites(name, paths), read_costs(paths.evals(name)), kind=log.kind, selected_epoch=log.selected_epoch
    )
    if log.identity != evidence.identity:
        raise UsageError(
            f"{paths.evals(name)}: training exported {log.identity[:12]}, the suites ran on {evidence.identity[:12]}; "
            f"run `{_stage(name)}`"
        )
    return evidence


def _seeded(names: Sequence[str], paths: ArtifactPaths) -> Seeded:
    """Each method's seed and golden dev metric, as its training log has them."""
    logs = {name: read_train_log(name, paths) for name in names}
    config = logs[names[0]].config
    metric = str(config["train.select_metric"])
    dev = {
        name: next(epoch.golden[metric] for epoch in log.epochs if epoch.epoch == log.selected_epoch)
        for name, log in logs.items()
    }
    seeds = {name: int(log.config["train.seed"] or 0) for name, log in logs.items()}
    return Seeded(seeds, dev, metric, config["train.select_direction"] == "higher")


class Sections(StageSections):
    """What the stage reads of params.yaml."""

    compare: CompareParams = CompareParams()
    hardware: HardwareParams = HardwareParams()
    methods: dict[str, MethodParams]
    train: TrainParams = TrainParams()


def stage(params: Sections, paths: ArtifactPaths) -> str:
    """Do the work; returns its summary."""
    same_but_for_the_seed = seed_sets(params.methods, params.train.seed)
    comparison = run(params.compare, params.hardware, params.methods, paths, same_but_for_the_seed)
    return f"candidate: {comparison.candidate} ({comparison.chosen_because})"
