"""params.yaml, parsed and checked; nothing else reads it.

Precedence: command line > params.yaml > the defaults here. The environment gives only secrets and endpoints. Defaults
name the public models and datasets; the shipped params.yaml replaces them by what runs with no hub.
"""

import re
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from evalsuite.errors import MissingArtifactError, UsageError
from evalsuite.gate.policy import GatePolicy
from evalsuite.wrong_values import explain
from evalsuite.yaml_file import read_yaml
from tasks.config.compare import CompareParams, SequentialParams
from tasks.config.contamination import ContaminationParams
from tasks.config.evaluation import EvaluationParams
from tasks.config.hardware import HardwareParams
from tasks.config.launch import LaunchParams
from tasks.config.methods import MethodParams, seed_sets
from tasks.config.model import ModelParams
from tasks.config.operations import PromoteParams, ScheduleParams
from tasks.config.pipeline import check_sections
from tasks.config.prepare import PrepareParams
from tasks.config.section import Section
from tasks.config.train import TrainParams

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
RESERVED_NAMES = frozenset({"base", "champion", "baseline"})


class Params(Section):
    """The whole file; one section a stage, each passed on alone."""

    model: ModelParams
    prepare: PrepareParams
    hardware: HardwareParams = HardwareParams()
    launch: LaunchParams = LaunchParams()
    methods: dict[str, MethodParams] = Field(min_length=1)
    train: TrainParams = TrainParams()
    evaluation: EvaluationParams
    contamination: ContaminationParams = ContaminationParams()
    sequential: SequentialParams = SequentialParams()
    compare: CompareParams = CompareParams()
    gate: GatePolicy
    promote: PromoteParams = PromoteParams()
    schedule: ScheduleParams = ScheduleParams()

    @property
    def seed_sets(self) -> tuple[tuple[str, ...], ...]:
        """Names of methods that differ in nothing but the seed."""
        return seed_sets(self.methods, self.train.seed)

    @property
    def num_candidates(self) -> int:
        """Methods among which test items choose: of those that differ in the seed alone, one, which dev items chose."""
        return len(self.methods) - sum(len(names) - 1 for names in self.seed_sets)

    def seeded(self, name: str) -> "Params":
        """These with a method's own seed, where it has one."""
        seed = self.methods[name].seed
        return self if seed is None else self.model_copy(update={"train": self.train.model_copy(update={"seed": seed})})

    def at_rate(self, name: str, rate: float | None) -> "Params":
        """These with one of a method's learning rates; as they are where ``rate`` is None."""
        if rate is None:
            return self
        return self.model_copy(update={"methods": {**self.methods, name: self.methods[name].at_rate(rate)}})

    @field_validator("methods")
    @classmethod
    def _method_names_are_folder_names(cls, methods: dict[str, MethodParams]) -> dict[str, MethodParams]:
        for name in methods:
            if not NAME.fullmatch(name) or name in RESERVED_NAMES:
                raise ValueError(
                    f"method name {name!r}: use a-z, 0-9, _ and -, a letter first, none of {sorted(RESERVED_NAMES)}"
                )
        return methods

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        seed_sets(self.methods, self.train.seed)
        return self

    @model_validator(mode="after")
    def _safety_and_over_refusal_together(self) -> Self:
        """A model that refuses everything has no attack success: one of the two says nothing without the other."""
        judged = {rule.suite for rule in self.gate.rules} & {"harmbench", "xstest"}
        if len(judged) == 1:
            there = judged.pop()
            other, metric = ("xstest", "over_refusal") if there == "harmbench" else ("harmbench", "attack_success")
            raise ValueError(
                f"gate.rules has a rule on {there} and none on {other}; safety and over-refusal are read together: add "
                f"a guard on {other}/{metric}, direction lower"
            )
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises:
        UsageError: Not YAML, a wrong key (with the nearest right one), a wrong value (with its dotted path), or a line
            is missing that the dvc.yaml beside it reads.
        MissingArtifactError: No such file.
    """
    data = read_sections(path)
    pipeline = path.with_name("dvc.yaml")
    if pipeline.is_file() and data.keys() <= Params.model_fields.keys():  # a misspelt section is not a missing one
        check_sections(data, read_yaml(pipeline), str(path))
    return parse_params(data, str(path))


def read_sections(path: Path) -> dict[str, Any]:
    """The sections of params.yaml as they are written, unchecked.

    Raises:
        UsageError: Not YAML, or no mapping.
        MissingArtifactError: No such file.
    """
    try:
        data = read_yaml(path)
    except FileNotFoundError:
        raise MissingArtifactError(
            f"no {path} here; run from the project's root, or bring it back with `git checkout params.yaml`"
        ) from None
    if not isinstance(data, dict):
        found = "nothing" if data is None else type(data).__name__
        raise UsageError(f"{path} holds {found}, expected a mapping of sections such as `model: {{id: ...}}`")
    return data


def parse_params(data: dict[str, Any], where: str = "params.yaml") -> Params:
    """Check a mapping; see ``load_params``."""
    try:
        return _with_named_suites(Params.model_validate(data))
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(error, Params)}") from None


def _with_named_suites(params: Params) -> Params:
    """Without a section ``harness``, no public benchmark is downloaded and run that nobody reads."""
    if "harness" in params.evaluation.model_fields_set:
        return params
    read = {rule.suite for rule in params.gate.rules} | {params.compare.suite} | set(params.sequential.suites)
    tasks = {name: task for name, task in params.evaluation.harness.tasks.items() if name in read}
    harness = params.evaluation.harness.model_copy(update={"tasks": tasks})
    return params.model_copy(update={"evaluation": params.evaluation.model_copy(update={"harness": harness})})
