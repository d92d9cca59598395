"""The sections that planning and training read."""

from typing import Self

from tasks.config.golden import DevSuite
from tasks.config.hardware import HardwareParams
from tasks.config.launch import LaunchParams
from tasks.config.methods import MethodParams
from tasks.config.section import StageSections
from tasks.config.train import TrainParams


class MethodSections(StageSections):
    """Methods, what they share, and the machines."""

    methods: dict[str, MethodParams]
    train: TrainParams = TrainParams()
    hardware: HardwareParams = HardwareParams()
    launch: LaunchParams = LaunchParams()

    def seeded(self, name: str) -> Self:
        """These with a method's own seed, where it has one."""
        seed = self.methods[name].seed
        return self if seed is None else self.model_copy(update={"train": self.train.model_copy(update={"seed": seed})})


class TrainingSections(MethodSections):
    """With the golden set, whose dev items choose the epoch."""

    evaluation: DevSuite
