"""Training rows, checked, without duplicates or held-out items, split by group."""

from tasks.config.prepare import PrepareParams
from tasks.config.section import StageSections
from tasks.config.train import TrainParams
from tasks.paths import ArtifactPaths
from tasks.prepare.preparation import run
from tasks.prepare.report import summary


class Sections(StageSections):
    """What the stage reads of params.yaml."""

    prepare: PrepareParams
    train: TrainParams = TrainParams()


def stage(params: Sections, paths: ArtifactPaths) -> str:
    """Do the work; returns its summary."""
    return summary(run(params.prepare, paths, params.train.answers))
