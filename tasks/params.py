"""params.yaml, parsed and checked; nothing else reads it.

Precedence: command line > params.yaml > the defaults here. The environment gives only secrets and endpoints. Defaults
name the public models and datasets; the shipped params.yaml replaces them by what runs with no hub.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from evalsuite.errors import MissingArtifactError, UsageError
from evalsuite.gate.policy import GatePolicy
from evalsuite.judges.settings import JudgeKind, JudgeSettings
from evalsuite.wrong_values import explain
from evalsuite.yaml_file import read_yaml
from tasks.engine_params import EngineKind as EngineKind
from tasks.engine_params import EngineParams as EngineParams
from tasks.launch_params import LaunchParams as LaunchParams
from tasks.method_params import MOST_SEEDS, seed_sets
from tasks.method_params import MethodKind as MethodKind
from tasks.method_params import MethodParams as MethodParams
from tasks.model_params import ModelParams as ModelParams
from tasks.pipeline_params import check_sections
from tasks.section import Section as Section
from tasks.suite_params import BertScoreParams as BertScoreParams
from tasks.suite_params import ContaminationParams as ContaminationParams
from tasks.suite_params import HarnessParams as HarnessParams
from tasks.suite_params import HarnessTask as HarnessTask
from tasks.suite_params import PerplexityParams as PerplexityParams

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
RESERVED_NAMES = frozenset({"base", "champion", "baseline"})


class Objective(StrEnum):
    """What is learnt of a row."""

    CHAT = "chat"
    TEXT = "text"


class PrepareParams(Section):
    """Training rows in, train and dev rows out."""

    sources: tuple[str, ...] = Field(min_length=1)
    """Files of rows (JSON lines or a JSON array, gzipped or not): chat (``messages``), ShareGPT, prompt/completion or
    Alpaca; documents (``text``) for objective text."""
    objective: Objective = Objective.CHAT
    """``chat``: learn the assistant's answers. ``text``: learn every token of documents (continued pretraining)."""
    dev_fraction: float = Field(default=0.1, gt=0.0, lt=0.5)
    """Share of groups kept for eval loss (fraction 0..1)."""
    group_by: str | None = None
    """Row field whose equal values stay on one side of the split; the normalised user text when absent."""
    ignore_keys: tuple[str, ...] = ()
    """Keys of rows and turns that say nothing about what is learnt; any other unknown key makes its row bad."""
    max_line_bytes: int | None = Field(default=None, ge=1)
    """Longer rows (bytes) are bad; when absent 1,000,000 for conversations, and no limit for objective text."""
    max_bad_fraction: float = Field(default=0.01, ge=0.0, lt=1.0)
    """More malformed rows than this stop the stage (fraction 0..1)."""
    max_length_tokens: int = Field(default=1024, ge=8)
    """Rows with more tokens, chat template included, are dropped and counted; documents of objective text are kept, and
    cut into pieces of ``train.max_length_tokens`` as they are trained."""
    max_rows: int | None = Field(default=None, ge=2)
    """Use this many rows, drawn with ``seed``; all when absent."""
    seed: int = 0


class HardwareParams(Section):
    """What the plan counts with."""

    price_per_hour: float = Field(default=0.0, ge=0.0)
    """Price of the whole machine for an hour, in ``currency``."""
    currency: str = "USD"
    memory_gib: float | None = Field(default=None, gt=0.0)
    """Memory of one device in GiB; measured when absent."""
    tokens_per_second: float | None = Field(default=None, gt=0.0)
    """Measured training speed in non-padding tokens a second; estimated when absent."""


class LongRows(StrEnum):
    """What becomes of rows with more tokens than ``train.max_length_tokens``."""

    STOP = "stop"
    DROP = "drop"
    TRUNCATE = "truncate"
    """Cut the answer's end: the row then teaches no end of turn."""


class Answers(StrEnum):
    """Which answers of a conversation are learnt; one with ``weight: 0`` never is."""

    ALL = "all"
    LAST = "last"


class TrainParams(Section):
    """What all methods share."""

    batch_size: int = Field(default=16, ge=1)
    """Examples per optimizer step."""
    micro_batch_size: int = Field(default=1, ge=1)
    """Examples (or packed rows) per forward pass; divides ``batch_size``."""
    max_length_tokens: int = Field(default=1024, ge=8)
    long_rows: LongRows = LongRows.STOP
    """What becomes of rows with more tokens: ``stop``, ``drop`` or ``truncate``; they are counted."""
    answers: Answers = Answers.ALL
    """``all``: learn every answer of a conversation whose weight is not 0. ``last``: the last of them alone."""
    packing: bool = True
    """Put several short examples in one row, kept apart by position ids."""
    gradient_checkpointing: bool = False
    """Trade time for memory."""
    seed: int = Field(default=0, ge=0, lt=MOST_SEEDS)
    keep_checkpoints: int = Field(default=3, ge=3)
    """Latest epoch checkpoints to keep, besides the selected one."""
    select_metric: str = "json_fields"
    """Golden dev metric that selects the epoch."""
    select_direction: Literal["higher", "lower"] = "higher"
    divergence_gap: float = Field(default=0.5, gt=0.0)
    """Stop early when eval loss exceeds training loss by this many nats and rises ..."""
    divergence_patience: int = Field(default=2, ge=1)
    """... for this many epochs in a row."""
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Trackers that get the curves too, on this machine unless the environment says otherwise."""

    @model_validator(mode="after")
    def _micro_batch_divides_batch(self) -> Self:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(f"micro_batch_size {self.micro_batch_size} does not divide batch_size {self.batch_size}")
        return self


class GoldenParams(Section):
    """The domain's golden set."""

    path: str
    """Folder with dev.jsonl, test.jsonl and manifest.json."""
    max_new_tokens: int = Field(default=256, ge=1)
    bertscore_model: str = "microsoft/deberta-xlarge-mnli"
    """Hub id, folder or ``package:NAME`` of the embedding model for ``bertscore_f1`` (``roberta-large`` also)."""
    bertscore_revision: str | None = None
    """Hub commit of that model (40 hex digits); required for a hub id once an item asks for a BERTScore metric."""
    bertscore_layer: int | None = Field(default=None, ge=1)
    """Layer of that model; bert-score's own choice when absent (needed for models it does not know)."""
    bertscore_baseline: str | None = None
    """Table LAYER,P,R,F to rescale with; the one that bert-score brings for a hub model when absent, else none."""
    judge: JudgeSettings | None = None
    """Kind chat: scores the metric ``judge`` by an item's rubric; needed only where an item asks for it."""

    @field_validator("judge")
    @classmethod
    def _rubrics_need_a_chat_model(cls, judge: JudgeSettings | None) -> JudgeSettings | None:
        if judge is not None and judge.kind is not JudgeKind.CHAT:
            raise ValueError(f"kind {judge.kind} cannot read a rubric; use kind: chat with base_url and model")
        return judge


class HarmBenchParams(Section):
    """How often the model does what it must not do; metric ``attack_success``, better lower."""

    data: str
    """harmbench_behaviors_text_all.csv of centerforaisafety/HarmBench, or its folder."""
    judge: JudgeSettings = JudgeSettings()
    attack: str | None = None
    """JSON or CSV of an attack's test cases; direct requests when absent."""
    copyright_references: str | None = None
    """HarmBench's data/copyright_classifier_hashes; copyright behaviours stay unscored when absent."""
    max_new_tokens: int = Field(default=512, ge=1)
    limit: int | None = Field(default=None, ge=1)
    """About this many test cases, spread over the file; all when absent."""
    max_unreadable_fraction: float = Field(default=0.05, ge=0.0, lt=1.0)
    """More verdicts that cannot be read stop the stage (fraction 0..1)."""


class XSTestParams(Section):
    """Refusals of safe prompts (``over_refusal``) and answers to unsafe ones (``unsafe_compliance``), better lower."""

    data: str
    """xstest_prompts.csv of paul-rottger/xstest, or its folder."""
    max_new_tokens: int = Field(default=256, ge=1)
    limit: int | None = Field(default=None, ge=1)
    """About this many prompts, spread over all types; all when absent."""
    max_unreadable_fraction: float = Field(default=0.05, ge=0.0, lt=1.0)
    """More verdicts that cannot be read stop the stage (fraction 0..1)."""


class BBQParams(Section):
    """Stereotypes in answers; accuracy and bias score in ambiguous and clear contexts."""

    data: str
    """Folder with CATEGORY.jsonl of nyu-mll/BBQ."""
    categories: tuple[str, ...] = ()
    """File names without the ending; all when empty."""
    limit: int | None = Field(default=None, ge=1)
    """About this many questions of each category; all when absent."""


class EvaluationParams(Section):
    """The suites, the same for every model."""

    golden: GoldenParams
    harness: HarnessParams = HarnessParams()
    """Without this section, those of lm-eval's ``mmlu_pro`` and ``ifeval`` that the gate or the comparison reads."""
    engine: EngineParams = EngineParams()
    harmbench: HarmBenchParams | None = None
    """Off when absent."""
    xstest: XSTestParams | None = None
    """Off when absent."""
    bbq: BBQParams | None = None
    """Off when absent."""
    perplexity: PerplexityParams | None = None
    """Off when absent."""
    bertscore: BertScoreParams | None = None
    """Off when absent; a golden set's own ``bertscore_f1`` needs no section."""
    suites: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Suites of other packages (entry points ``ratchet.suites``) -> keyword arguments; docs/own_suite.md."""
    batch_tokens: int | None = Field(default=None, ge=64)
    """Upper bound on cached tokens of one batch, new ones included; what half of the free memory holds when absent."""
    long_prompts: Literal["refuse", "unscored"] = "refuse"
    """A prompt that does not fit the context with its new tokens stops the stage, or is unscored; it is never cut."""
    cache: bool = True
    """Keep every answer in .ratchet/eval_cache, so that the same model is never asked the same twice."""


class SequentialParams(Section):
    """Which suites of a candidate stop as soon as their rules are decided; none of them unless named."""

    suites: tuple[str, ...] = ()
    """Suites that are evaluated in batches; the baselines' are always evaluated in full."""
    batch_items: int = Field(default=100, ge=1)
    """Items between two looks of the gate; any number is valid, and more make better use of a device."""
    finish: bool = False
    """Evaluate everything in spite of something proven broken."""


class CompareParams(Section):
    """How one method is chosen."""

    suite: str = "golden"
    metric: str = "json_fields"
    direction: Literal["higher", "lower"] = "higher"
    margin: float = Field(default=0.03, gt=0.0)
    """A cheaper method is chosen when it is proven not worse than the best by more than this (metric's unit)."""
    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    """One-sided error of that proof."""


class PromoteParams(Section):
    """What follows a PROMOTE."""

    automatic: bool = False
    """Let the flow promote after a PROMOTE verdict; else it waits for ``ratchet promote``."""
    remote: str | None = None
    """DVC remote that must hold the bytes; the default remote when absent."""


class ScheduleParams(Section):
    """The Prefect deployment that ``ratchet serve`` registers."""

    name: str = "nightly"
    cron: str = "0 2 * * *"
    timezone: str = "UTC"
    stage_timeout_seconds: int = Field(default=86_400, ge=1)
    retries: int = Field(default=1, ge=0, le=10)
    """Retries of a stage that a retry can help (not of a usage error)."""
    parallel_methods: int = Field(default=1, ge=1)
    """Methods that may train at the same time."""


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
