"""Item-by-item evaluation results: the rows, what was measured, and the columns the gate reads.

A value that is missing, NaN or unscored is never a zero and never a pass: it stays its own state from the scorer to the
decision, and every summary carries its n, its unscored count and its standard error.
"""

import itertools
import json
import math
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import atomic_path, checked, parse_json, read_model, sha256_file, sha256_json, write_json
from evalsuite.items.answer_counts import AnswerCounts
from evalsuite.items.calibration import Judge
from evalsuite.items.repeats import Repeat

SCHEMA_VERSION = 2
READABLE_VERSIONS = ("1", "2")
"""Of items.parquet; version 1 has no denominators, so none of its metrics is a ratio."""

LARGEST_SCORE = 1e12
"""Size of scores up to which cubes and sums over any number of items stay finite."""
JSON_COLUMNS = ("slices", "scores", "denominators")
"""Columns of items.parquet that hold one JSON object an item."""


class ItemResult(BaseModel):
    """One evaluated item."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    item_id: str
    item_hash: str
    """sha256 of everything that defines the item: prompt, references, metrics."""
    cluster: str | None = None
    """Items that share a cluster (one passage, one template) are not independent."""
    slices: dict[str, str] = Field(default_factory=dict)
    must_pass: tuple[str, ...] = ()
    """Metrics that must score 1.0 on this item."""
    metrics: tuple[str, ...]
    """Metrics that apply to this item, whether or not they could be scored."""
    scores: dict[str, float] = Field(default_factory=dict)
    """Metric -> score; a metric of ``metrics`` that is absent here is unscored."""
    denominators: dict[str, float] = Field(default_factory=dict)
    """Metrics whose suite value is a ratio of sums: sum(scores) / sum(denominators) over the scored items.

    ``scores`` then holds the item's numerator. 0 is allowed. An unscored item may have one: the most that it weighs.
    """
    unscored: str | None = None
    """Why a metric is missing from ``scores``."""
    prompt: str = ""
    references: tuple[str, ...] = ()
    output: str = ""
    """Of several repeats, the first one's."""
    repeats: tuple[Repeat, ...] = ()
    """Sampled answers, where there are several; ``scores`` are their means."""
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0
    """Of all repeats."""

    @model_validator(mode="after")
    def _denominators_fit(self) -> Self:
        for metric, denominator in self.denominators.items():
            if denominator < 0.0 or metric not in self.metrics:
                raise ValueError(
                    f"item {self.item_id!r} has denominator {denominator} for metric {metric!r}; expected 0 or more, "
                    f"for one of {', '.join(self.metrics) or 'no metric'}"
                )
        return self

    def value(self, metric: str) -> float | None:
        """The score, for a ratio the item's own; None where it is unscored, or the denominator is 0."""
        score, denominator = self.scores.get(metric), self.denominators.get(metric, 1.0)
        return score / denominator if score is not None and denominator else None


class Prefix(BaseModel):
    """Which items of a set were run, where the evaluation may stop before the end by design."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    num_items: int = Field(ge=1)
    """Items of the whole set; those that were not run are no unscored items."""
    order_seed: str
    """What the order of evaluation was drawn from: the set's ``items_sha256``."""
    num_ordered: int = Field(ge=0)
    """How many were run from the start of the order; must-pass items further on were run too."""
    run_sha256: str
    """``items_sha256`` of the items that were run."""
    ended: Literal["complete", "decided", "violation"]
    """All items were run; every rule of the suite was decided; or something was proven broken, in whatever suite."""


class SuiteInfo(BaseModel):
    """What was measured and how; two results may be compared only if ``COMPARED_FIELDS`` agree."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    suite: str
    suite_version: str
    items_sha256: str
    """Hash over the sorted (item_id, item_hash) pairs of the whole suite."""
    prompt_sha256: str = ""
    """Hash of the prompt template: system prompt, few-shot examples, task description."""
    chat_template_sha256: str = ""
    decoding: dict[str, str | int | float | bool] = Field(default_factory=dict)
    scorers: dict[str, str] = Field(default_factory=dict)
    """Metric -> version of what scores it, a judge or embedding model's hash included."""
    judges: dict[str, Judge] = Field(default_factory=dict)
    """Metric -> the judge that scores it; a metric that is computed has none."""
    engine: str = ""
    model_identity: str = ""
    source: str = ""
    """File that the items were read from, as params.yaml names it (of an absolute path the last two parts); empty where
    it is not one file."""
    prefix: Prefix | None = None
    """Of a sequential evaluation; None where all items were to be run. ``items_sha256`` is that of the whole set."""


COMPARED_FIELDS = (
    "suite",
    "suite_version",
    "items_sha256",
    "prompt_sha256",
    "chat_template_sha256",
    "decoding",
    "scorers",
    "judges",
)
"""Fields of SuiteInfo that must agree before two results are compared."""


class MetricSummary(BaseModel):
    """A mean that never stands without its n, unscored count and standard error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    metric: str
    mean: float | None
    """Mean over scored items (a ratio's value); None when nothing was scored or the denominators sum to 0."""
    stderr: float | None
    """Standard error of the mean over items; None below two scored items."""
    n: int
    unscored: int
    denominator: float | None = None
    """A ratio's sum of denominators over scored items; None for a mean."""


class SuiteSummary(SuiteInfo):
    """summary.json: what was measured, and each metric's summary."""

    schema_version: Literal[1] = 1
    num_items: int
    seconds: float
    """Wall time of the evaluation; answers out of the cache count with the time that they once took."""
    answers: AnswerCounts = AnswerCounts()
    metrics: tuple[MetricSummary, ...]
    items_file_sha256: str = ""
    """Of items.parquet's bytes, which parquet itself does not check; empty in summaries of earlier versions."""


@dataclass(frozen=True)
class ScoreTable:
    """The gate's view of one suite: columns of length ``n``, in item order."""

    info: SuiteInfo
    item_ids: tuple[str, ...]
    item_hashes: tuple[str, ...]
    clusters: tuple[str, ...]
    """The item id where an item has no cluster."""
    slices: Mapping[str, tuple[str, ...]]
    """Slice key -> value per item, "" where the item has none."""
    scores: Mapping[str, NDArray[np.float64]]
    """Metric -> score per item; NaN where it is unscored or never applied; ``applies`` says what is averaged."""
    applies: Mapping[str, NDArray[np.bool_]]
    """Metric -> whether it applies to the item."""
    must_pass: Mapping[str, NDArray[np.bool_]]
    """Metric -> whether the item must score 1.0 on it; only metrics that some item must pass."""
    denominators: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Metric that is a ratio of sums -> denominator per item, NaN where unknown; its scores are the numerators."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Metric that no item has a score of -> why."""

    def __post_init__(self) -> None:
        """Refuse duplicate ids, which would pair the wrong items, and scores whose squares and cubes overflow."""
        for metric, scores in (*self.scores.items(), *self.denominators.items()):
            huge = np.flatnonzero(np.isfinite(scores) & (np.abs(scores) > LARGEST_SCORE))
            if huge.size:
                raise UsageError(
                    f"suite {self.info.suite!r}: item {self.item_ids[huge[0]]!r} has {scores[huge[0]]:g} for {metric}, "
                    f"expected a size of at most {LARGEST_SCORE:g}; fix its scorer and evaluate again"
                )
        ids = self.item_ids
        # Ids that ascend, as the gate sorts them, need no set.
        if not all(map(operator.lt, ids, itertools.islice(ids, 1, None))) and len(set(ids)) < len(ids):
            twice = next(item_id for item_id, count in Counter(ids).items() if count > 1)
            raise UsageError(f"suite {self.info.suite!r} has item id {twice!r} twice; every id must be unique")

    def take(self, rows: Sequence[int] | NDArray[np.intp], **others: Any) -> "ScoreTable":
        """The items in these rows, in this order; what is said of the whole suite stays. ``others`` replace fields."""

        def taken(column: Any) -> Any:
            if isinstance(column, Mapping):
                return {key: taken(values) for key, values in column.items()}
            return tuple(map(column.__getitem__, places)) if isinstance(column, tuple) else column[rows]

        places = np.asarray(rows, dtype=np.intp).tolist()
        columns = (each.name for each in fields(self) if each.name not in ("info", "reasons", *others))
        return replace(self, **{name: taken(getattr(self, name)) for name in columns}, **others)


@dataclass(frozen=True)
class EvalReport:
    """Everything the gate may know of one model."""

    model: str
    """Name: a method, ``base`` or ``champion``."""
    identity: str
    suites: Mapping[str, ScoreTable]
    costs: Mapping[str, float]
    """Absolute quantities that a cost rule may limit, such as ``num_bytes`` or ``eval_seconds``."""


@dataclass(frozen=True)
class SuiteResult:
    """One suite over one model."""

    info: SuiteInfo
    items: tuple[ItemResult, ...]
    seconds: float
    answers: AnswerCounts = field(default_factory=AnswerCounts)

    def summary(self) -> SuiteSummary:
        """Means with n, unscored and standard error for every metric."""
        names = sorted({metric for item in self.items for metric in item.metrics})
        return SuiteSummary(
            **self.info.model_dump(),
            num_items=len(self.items),
            seconds=round(self.seconds, 3),
            answers=self.answers,
            metrics=tuple(summarise(name, self.items) for name in names),
        )

    def table(self) -> ScoreTable:
        """Columns for the gate."""
        return table_of(self.info, self.items)

    def write(self, folder: Path) -> None:
        """Write items.parquet, then summary.json, so that a folder without a summary does not count."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        (folder / "summary.json").unlink(missing_ok=True)
        rows = [_to_row(item) for item in self.items]
        repeated = any(item.repeats for item in self.items)
        schema = pa.schema(
            [
                *((name, pa.string()) for name in ("item_id", "item_hash", "cluster", "unscored", "prompt", "output")),
                *((name, pa.string()) for name in (*JSON_COLUMNS, *(["repeats"] if repeated else []))),
                *((name, pa.list_(pa.string())) for name in ("must_pass", "metrics", "references")),
                *((name, pa.int64()) for name in ("num_prompt_tokens", "num_output_tokens")),
            ]
        )
        table = pa.Table.from_pylist(rows, schema=schema)
        with atomic_path(folder / "items.parquet") as temporary:
            pq.write_table(table.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION)}), temporary)
        digest = sha256_file(folder / "items.parquet")
        write_json(folder / "summary.json", self.summary().model_copy(update={"items_file_sha256": digest}))


def _to_row(item: ItemResult) -> dict[str, Any]:
    row = item.model_dump()
    for name in (*JSON_COLUMNS, "repeats"):
        row[name] = json.dumps(row[name], sort_keys=True, allow_nan=False)
    return row


def read_items(path: Path, made_by: str = "ratchet run") -> tuple[ItemResult, ...]:
    """Read items.parquet.

    Raises:
        MissingArtifactError: The file is absent.
        UsageError: Its schema version is unknown, or it is not such a file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected item results; remove it, then `{made_by}`")
    if not path.is_file():
        raise MissingArtifactError(f"no item results at {path}; make them with `{made_by}`")
    try:
        table = pq.read_table(path)
    except PermissionError:
        raise
    except (pa.ArrowException, OSError) as error:  # pyarrow has both for a damaged file
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} is not a parquet file ({reason}); make it again with `{made_by}`") from None
    version = (table.schema.metadata or {}).get(b"schema_version", b"absent").decode(errors="replace")
    if version not in READABLE_VERSIONS:
        raise UsageError(
            f"{path} has schema_version {version}, this version reads {' and '.join(READABLE_VERSIONS)}; "
            f"make it again with `{made_by}`"
        )
    try:
        rows = table.to_pylist()
        for row in rows:
            row |= {name: parse_json(row[name]) for name in JSON_COLUMNS if name in row or version != "1"}
            row |= {"repeats": parse_json(row["repeats"])} if "repeats" in row else {}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not item results ({error!r}); make it again with `{made_by}`") from None
    return tuple(checked(row, ItemResult, f"{path} row {number}", made_by) for number, row in enumerate(rows, 1))


def read_result(folder: Path, made_by: str = "ratchet run") -> SuiteResult:
    """Read one suite's folder; a UsageError where a file is damaged, or items.parquet is not the summary's."""
    summary, path = read_model(folder / "summary.json", SuiteSummary, made_by), folder / "items.parquet"
    if summary.items_file_sha256 and path.is_file() and sha256_file(path) != summary.items_file_sha256:
        raise UsageError(
            f"{path} is not the file that summary.json was written with: it was damaged or changed; make it again with "
            f"`{made_by}`"
        )
    items = read_items(path, made_by)
    info = SuiteInfo.model_validate(summary.model_dump(include=set(SuiteInfo.model_fields)))
    if items_sha256(items) != (info.prefix.run_sha256 if info.prefix else info.items_sha256):
        raise UsageError(f"{folder}: items.parquet does not hold the items that summary.json names; run `{made_by}`")
    return SuiteResult(info=info, items=items, seconds=summary.seconds, answers=summary.answers)


def read_results(folders: Sequence[Path], made_by: str = "ratchet run") -> dict[str, SuiteResult]:
    """Suite -> what one of the folders holds of it; a UsageError where two hold the same, as a copy that was kept."""
    found: dict[str, SuiteResult] = {}
    for folder in folders:
        result = read_result(folder, made_by)
        if result.info.suite in found:
            raise UsageError(f"{folder} holds suite {result.info.suite!r}, as another folder does; move one elsewhere")
        found[result.info.suite] = result
    return found


def read_report(model: str, folder: Path, identity: str, costs: Mapping[str, float], made_by: str) -> EvalReport:
    """Read every suite under ``evals/MODEL``.

    Raises:
        MissingArtifactError: No suite is there.
        UsageError: A suite was run on other bytes than ``identity``.
    """
    results = read_results(sorted(path.parent for path in folder.glob("*/summary.json")), made_by)
    for suite, result in results.items():
        if result.info.model_identity != identity:
            raise UsageError(
                f"{folder}: suite {suite!r} was evaluated on model {result.info.model_identity[:12]}, not on "
                f"{identity[:12]}; run `{made_by}`"
            )
    if not results:
        raise MissingArtifactError(f"no evaluation under {folder}; make it with `{made_by}`")
    suites = {suite: result.table() for suite, result in results.items()}
    return EvalReport(model=model, identity=identity, suites=suites, costs=costs)


def items_sha256(items: Sequence[ItemResult]) -> str:
    """Hash that names a set of items, whatever their order."""
    return sha256_json(sorted((item.item_id, item.item_hash) for item in items))


def summarise(metric: str, items: Sequence[ItemResult]) -> MetricSummary:
    """Mean, or ratio of sums, and its standard error, of one metric over the items it applies to.

    A ratio's error is that of its linearisation (Cochran, Sampling Techniques, 3rd ed., 1977, section 2.11).
    """
    applying = [item for item in items if metric in item.metrics]
    scored = [item for item in applying if metric in item.scores]
    is_ratio = any(metric in item.denominators for item in items)
    if is_ratio:
        scored = [item for item in scored if metric in item.denominators]
    n, values = len(scored), [item.scores[metric] for item in scored]
    weights = [item.denominators[metric] for item in scored] if is_ratio else [1.0] * n
    total = math.fsum(weights)
    mean = math.fsum(values) / total if total else None
    stderr = None
    if mean is not None and n > 1:
        squares = math.fsum((value - mean * weight) ** 2 for value, weight in zip(values, weights, strict=True))
        stderr = math.sqrt(squares / (n - 1) * n) / total
    weighed, unscored = total if is_ratio else None, len(applying) - n
    return MetricSummary(metric=metric, mean=mean, stderr=stderr, n=n, unscored=unscored, denominator=weighed)


def table_of(info: SuiteInfo, items: Sequence[ItemResult]) -> ScoreTable:
    """Turn item rows into the gate's columns."""
    metrics = sorted({metric for item in items for metric in item.metrics})
    keys = sorted({key for item in items for key in item.slices})
    required = sorted({metric for item in items for metric in item.must_pass})
    ratios = sorted({metric for item in items for metric in item.denominators})
    unscored = set(metrics) - {metric for item in items for metric in item.scores}
    return ScoreTable(
        info=info,
        item_ids=tuple(item.item_id for item in items),
        item_hashes=tuple(item.item_hash for item in items),
        clusters=tuple(item.cluster or item.item_id for item in items),
        slices={key: tuple(item.slices.get(key, "") for item in items) for key in keys},
        scores={m: np.array([item.scores.get(m, math.nan) for item in items], dtype=np.float64) for m in metrics},
        applies={m: np.array([m in item.metrics for item in items], dtype=np.bool_) for m in metrics},
        must_pass={m: np.array([m in item.must_pass for item in items], dtype=np.bool_) for m in required},
        denominators={m: np.array([item.denominators.get(m, math.nan) for item in items]) for m in ratios},
        reasons={metric: why for metric in sorted(unscored) if (why := _usual_reason(metric, items))},
    )


def _usual_reason(metric: str, items: Sequence[ItemResult]) -> str:
    """What most items without a score say of it."""
    found = Counter(item.unscored for item in items if metric in item.metrics and item.unscored)
    return found.most_common(1)[0][0] if found else ""
