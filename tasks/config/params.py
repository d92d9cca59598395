"""params.yaml, parsed and checked; nothing else reads it.

Precedence: command line > params.yaml > the defaults here. The environment gives only secrets and endpoints. Defaults
name the public models and datasets; the shipped params.yaml replaces them by what runs with no hub.
"""

from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from evalsuite.core.credentials import without_secrets
from evalsuite.core.yaml_file import read_yaml
from evalsuite.gate.policy import GatePolicy
from evalsuite.suites.registry import built_in
from tasks.config.compare import CompareParams, SequentialParams
from tasks.config.contamination import ContaminationParams
from tasks.config.evaluation import EvaluationParams, EvaluationSections
from tasks.config.methods import NAME, MethodParams, num_candidates, seed_sets
from tasks.config.model import ModelParams
from tasks.config.operations import PromoteParams, ScheduleParams
from tasks.config.pipeline import check_sections
from tasks.config.prepare import PrepareParams
from tasks.config.reading import parsed, read_sections
from tasks.config.training import TrainingSections

RESERVED_NAMES = frozenset({"base", "champion", "baseline"})


DECIDING = ("model", "prepare", "methods", "train", "evaluation", "contamination", "sequential", "compare", "gate")
"""Sections on which a run's outputs depend."""


class Params(TrainingSections):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    model: ModelParams
    prepare: PrepareParams
    methods: dict[str, MethodParams] = Field(min_length=1)
    evaluation: EvaluationParams
    contamination: ContaminationParams = ContaminationParams()
    sequential: SequentialParams = SequentialParams()
    compare: CompareParams = CompareParams()
    gate: GatePolicy
    promote: PromoteParams = PromoteParams()
    schedule: ScheduleParams = ScheduleParams()

    def deciding(self) -> dict[str, Any]:
        """The settings on which a run's outputs depend, defaults included and secrets left out, as JSON has them."""
        shown: dict[str, Any] = without_secrets(self.model_dump(mode="json", include=set(DECIDING)))
        return shown

    @property
    def seed_sets(self) -> tuple[tuple[str, ...], ...]:
        """Names of methods that differ in nothing but the seed."""
        return seed_sets(self.methods, self.train.seed)

    @property
    def num_candidates(self) -> int:
        """Methods among which test items choose: one per set of seeds, chosen on dev items."""
        return num_candidates(self.methods, self.train.seed)

    @field_validator("methods")
    @classmethod
    def _method_names_are_folder_names(cls, methods: dict[str, MethodParams]) -> dict[str, MethodParams]:
        for name in methods:
            if not NAME.fullmatch(name) or name in RESERVED_NAMES:
                raise ValueError(
                    f"method name {name!r}: use a-z, 0-9, _ and -, a letter first, and none of {sorted(RESERVED_NAMES)}"
                )
        return methods

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        seed_sets(self.methods, self.train.seed)
        return self

    @model_validator(mode="after")
    def _safety_and_over_refusal_together(self) -> Self:
        """A model that refuses everything has no attack success: one of the two says nothing without the other."""
        judged = {rule.suite for rule in self.gate.rules}
        for name, entry in built_in().items():
            other = entry.read_with.partition("/")[0]
            if other and name in judged and other not in judged:
                raise ValueError(
                    f"gate.rules has a rule on {name} and none on {other}; safety and over-refusal are read together: "
                    f"add a guard on {entry.read_with}, direction lower"
                )
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises:
        UsageError: Not YAML, a wrong key (with the nearest right one), a wrong value (with its dotted path), or a line
            is missing that the dvc.yaml beside it reads.
        MissingArtifactError: There is no such file.
    """
    data = read_sections(path)
    pipeline = path.with_name("dvc.yaml")
    if pipeline.is_file() and data.keys() <= Params.model_fields.keys():  # a misspelt section is not a missing one
        check_sections(data, read_yaml(pipeline), str(path))
    return parse_params(data, str(path))


def parse_params(data: dict[str, Any], where: str = "params.yaml") -> Params:
    """Check a mapping; see ``load_params``."""
    params = parsed(data, Params, where)
    return params.model_copy(update={"evaluation": EvaluationSections.model_validate(data).suites})
