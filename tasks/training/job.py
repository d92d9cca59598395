"""One training, as it is handed from the stage to the trainer."""

from dataclasses import dataclass, replace
from pathlib import Path

from tasks.config.train import TrainParams
from tasks.config.training import TrainingSections
from tasks.methods.kinds import method_of
from tasks.methods.method import Method
from tasks.paths import ArtifactPaths
from tasks.training.parallel.launch import LaunchPlan


@dataclass(frozen=True)
class Job:
    """A method of params.yaml by its plan, at one learning rate."""

    name: str
    """Of the method."""
    sections: TrainingSections
    """With the method's own seed."""
    plan: LaunchPlan
    paths: ArtifactPaths
    rate: float | None = None
    """Which of several learning rates; None where the method has one."""

    def at(self, rate: float) -> "Job":
        """The same at one of several learning rates."""
        return replace(self, rate=rate)

    @property
    def method(self) -> Method:
        """How the weights are trained."""
        params = self.sections.methods[self.name]
        return method_of(params if self.rate is None else params.at_rate(self.rate))

    @property
    def params(self) -> TrainParams:
        """What all methods share."""
        return self.sections.train

    @property
    def base(self) -> Path:
        """Folder of the base model."""
        return self.paths.export("base")

    @property
    def root(self) -> Path:
        """Folder of the checkpoints."""
        return self.paths.checkpoints(self.name, self.rate)
