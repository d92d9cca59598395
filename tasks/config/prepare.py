"""How training rows are read, dropped and split."""

import os
import re
from datetime import date
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_serializer, model_validator

from tasks.config.marks import is_mark
from tasks.config.objectives import objective_name
from tasks.config.section import Section

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
HUB = "hub:"
HUB_SOURCE = re.compile(
    rf"{HUB}(?P<name>{HUB_ID.pattern})@(?P<revision>[0-9a-f]{{40}})(:((?P<config>[\w.-]+)/)?(?P<split>[\w.-]+))?",
    re.ASCII,
)
SYNTHETIC_SHARE = 0.5
"""So that at least half of what is learnt was written by people, unless somebody decides otherwise: models that learn
from models lose the rare cases (Shumailov et al. 2024, doi:10.1038/s41586-024-07566-y), and much less so while the real
rows stay beside the synthetic ones (Gerstgrasser et al. 2024, arXiv:2404.01413)."""


def is_usual_share(value: float) -> bool:
    """Whether ``max_synthetic_share`` is as nobody set it, and is left out of what is kept."""
    return value == SYNTHETIC_SHARE


class StepChoice(Section):
    """A step of preparation: ``name``, or ``name: {key: value}`` with its settings."""

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _name_with_settings(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"name": data}
        if isinstance(data, dict) and len(data) == 1:
            ((name, settings),) = data.items()
            data = {"name": name, "settings": {} if settings is None else settings}
        if not isinstance(data, dict) or data.keys() != {"name", "settings"} or not isinstance(data["settings"], dict):
            raise ValueError("expected a step's name, or one name with its settings: `- name: {key: value}`")
        return data


class SplitParams(Section):
    """Which rows become dev rows, those that training does not see; docs/data.md says what never moves."""

    by: Literal["hash", "date"] = "hash"
    """``hash``: groups by the hash of their name. ``date``: the newest rows by ``field``."""
    field: str | None = None
    """Row field with a date or time (ISO 8601, or seconds since 1970) for ``by: date``."""
    dev_from: date | None = None
    """With ``by: date``, rows of this day (UTC) and later are dev rows; when absent, the newest ``dev_fraction``."""
    near_duplicates: float | None = Field(default=None, ge=0.3, le=1.0)
    """Rows with at least this Jaccard similarity stay on one side (fraction 0..1); not looked for when absent."""
    compare: Literal["prompt", "conversation"] = "prompt"
    """What of rows is compared for ``near_duplicates``, as in the step of that name."""
    stratify_by: str | None = None
    """Row field for each value of which ``dev_fraction`` holds; of all groups together when absent."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of rows that the split reads, beside ``group_by``."""
        return tuple(key for key in (self.field, self.stratify_by) if key is not None)

    @model_validator(mode="after")
    def _date_settings_belong_together(self) -> Self:
        if self.by == "date":
            if self.field is None:
                raise ValueError("by: date needs field, the row field that holds the date")
            if self.stratify_by is not None:
                raise ValueError("stratify_by has no effect with by: date; take one of them out")
        elif self.field is not None or self.dev_from is not None:
            raise ValueError("field and dev_from have no effect with by: hash; set by: date, or take them out")
        return self


class HubSource(NamedTuple):
    """A split of a data set on the hub, at one commit."""

    name: str
    """``OWNER/NAME``."""
    revision: str
    config: str | None
    """Which of several configurations; the default one when None."""
    split: str

    def __str__(self) -> str:
        """As it is written in ``prepare.sources``."""
        config = f"{self.config}/" if self.config else ""
        return f"{HUB}{self.name}@{self.revision}:{config}{self.split}"


def complete_path(path: str) -> str:
    """The path of an entry, as it is.

    Raises:
        ValueError: It is an address, or a data set of the hub without its commit.
    """
    if path.startswith(HUB) and HUB_SOURCE.fullmatch(path) is None:
        raise ValueError("expected hub:OWNER/NAME@COMMIT:SPLIT with a commit of 40 hex digits, since a branch changes")
    if "://" in path:
        raise ValueError(
            f"DVC watches files of the project alone; `ratchet import-rows {path}` fetches it into data/raw, then "
            "name the file there"
        )
    return path


class SourceChoice(Section):
    """One entry of ``prepare.sources``: a path, or ``{path: ..., weight: ..., max_rows: ...}``."""

    path: str = Field(min_length=1)
    """A file, a folder or a pattern (``data/raw/*.jsonl``) in data/raw, or ``hub:OWNER/NAME@COMMIT:SPLIT``; with
    ``CONFIG/SPLIT`` where the data set has several configurations."""
    weight: float | None = Field(default=None, gt=0.0)
    """Its share of the rows that ``prepare.max_rows`` draws, relative to the weights of the other entries (1 when
    absent). Where no entry has a weight, all rows have the same chance."""
    max_rows: int | None = Field(default=None, ge=1)
    """At most so many of its rows, drawn with ``prepare.seed``; all when absent."""

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, data: Any) -> Any:
        return {"path": data} if isinstance(data, str) else data

    @model_serializer
    def _as_written(self) -> str | dict[str, Any]:
        """A path alone is a text, as it was before entries had settings, so that kept decisions know it again."""
        given = {"weight": self.weight, "max_rows": self.max_rows}
        own = {key: value for key, value in given.items() if value is not None}
        return {"path": self.path, **own} if own else self.path

    @field_validator("path")
    @classmethod
    def _is_complete(cls, path: str) -> str:
        return complete_path(path)

    @property
    def hub(self) -> HubSource | None:
        """What it names on the hub; None for files of the project."""
        found = HUB_SOURCE.fullmatch(self.path)
        if found is None:
            return None
        return HubSource(found["name"], found["revision"], found["config"], found["split"] or "train")

    def __str__(self) -> str:
        """Its path."""
        return self.path


class ReplayParams(Section):
    """General rows among the others, so that less is forgotten of what the base model can."""

    path: str = Field(min_length=1)
    """A file, folder or pattern in data/raw, or a data set of the hub, as in ``prepare.sources``."""
    share: float = Field(gt=0.0, lt=1.0)
    """Of the train and dev rows that are rows of ``path`` (fraction 0..1), drawn with ``prepare.seed``."""

    @field_validator("path")
    @classmethod
    def _is_complete(cls, path: str) -> str:
        return complete_path(path)

    @property
    def source(self) -> SourceChoice:
        """The entry that its rows are read from."""
        return SourceChoice(path=self.path)

    def of_limit(self, limit: int) -> int:
        """How many of ``limit`` rows are its own."""
        return round(self.share * limit)


class PrepareParams(Section):
    """Training rows in, train and dev rows out."""

    sources: tuple[SourceChoice, ...] = Field(min_length=1)
    """Files, folders, patterns and data sets of the hub with rows (JSON, CSV, Parquet, Arrow): chat (``messages``),
    ShareGPT, prompt/completion, Alpaca and others; documents (``text``) for objective text. An entry may be
    ``{path: ..., weight: ..., max_rows: ...}``."""
    datasets: tuple[str, ...] = ()
    """Hub ids of the data sets that the sources come from (``OWNER/NAME``); the model card names them."""
    objective: str = "sft"
    """``sft`` (or ``chat``): learn the assistant's answers. ``text``: learn every token of documents (continued
    pretraining). Or the name of another package's."""
    steps: tuple[StepChoice, ...] = tuple(
        StepChoice(name=name, settings={}) for name in ("duplicates", "held_out", "max_rows", "length")
    )
    """Steps that the rows go through, in this order; steps that change rows come before ``held_out`` and ``length``."""
    dev_fraction: float = Field(default=0.1, gt=0.0, lt=0.5)
    """Share of groups kept for eval loss (fraction 0..1)."""
    group_by: str | None = None
    """Row field whose equal values stay on one side of the split; the normalised user text when absent."""
    split: SplitParams = SplitParams()
    ignore_keys: tuple[str, ...] = ()
    """Keys of rows and turns that say nothing about what is learnt; any other unknown key makes its row bad."""
    max_line_bytes: int | None = Field(default=None, ge=1)
    """Longer rows (in bytes) are bad; by default 1,000,000 for conversations, and no limit for objective text."""
    max_bad_fraction: float = Field(default=0.01, ge=0.0, lt=1.0)
    """Largest share of bad rows that does not stop the stage (fraction 0..1)."""
    max_length_tokens: int = Field(default=1024, ge=8)
    """Rows with more tokens, chat template included, are dropped and counted; documents of objective text are kept, and
    cut into pieces of ``train.max_length_tokens`` as they are trained."""
    max_rows: int | None = Field(default=None, ge=2)
    """Use this many rows, drawn with ``seed``; all when absent."""
    replay: ReplayParams | None = Field(default=None, exclude_if=lambda value: value is None)
    max_synthetic_share: float = Field(default=SYNTHETIC_SHARE, ge=0.0, le=1.0, exclude_if=is_usual_share)
    """Largest share of the train and dev rows that a model wrote (fraction 0..1; `ratchet data synthesize` marks
    them); rows beyond it are left out, drawn with ``seed``."""
    seed: int = 0
    engine: Literal["local", "ray"] = "local"
    """Where rows are worked on: in ``processes`` of this machine, or by Ray Data on those of a cluster; the rows that
    come out are the same."""
    processes: int | None = Field(default=None, ge=1)
    """Of ``engine: local`` for many rows; one a core when absent."""
    ray_address: str | None = None
    """Of ``engine: ray``: ``auto`` or ``ray://HOST:PORT``; a cluster of this machine alone when absent."""

    @model_validator(mode="after")
    def _replay_can_hold(self) -> Self:
        if self.replay is None:
            return self
        path, share = self.replay.path, self.replay.share
        if any(os.path.normpath(source.path) == os.path.normpath(path) for source in self.sources):
            raise ValueError(
                f"replay.path {path} is in prepare.sources too, so that its rows would be read twice; take it out of "
                "one of them"
            )
        if self.max_rows is not None and not 0 < self.replay.of_limit(self.max_rows) < self.max_rows:
            kind = "no row" if share < 0.5 else "every row"
            raise ValueError(
                f"replay.share {share:g} of prepare.max_rows = {self.max_rows} is {kind}; "
                f"{'raise max_rows or the share' if share < 0.5 else 'lower the share'}"
            )
        return self

    @model_validator(mode="after")
    def _weights_count(self) -> Self:
        weighed = next((source for source in self.sources if source.weight is not None), None)
        if weighed is not None and self.max_rows is None:
            raise ValueError(
                f"the weight of {weighed} has no effect: weights share out the rows that prepare.max_rows draws; set "
                "prepare.max_rows, or take the weight out"
            )
        return self

    @property
    def entries(self) -> tuple[SourceChoice, ...]:
        """All that rows are read from: the sources and, last, that of ``replay``."""
        return self.sources if self.replay is None else (*self.sources, self.replay.source)

    def key_of(self, entry: int) -> str:
        """The setting that holds this one of ``entries``."""
        return "prepare.sources" if entry < len(self.sources) else "prepare.replay.path"

    @property
    def hub_ids(self) -> tuple[str, ...]:
        """Data sets of the hub that the rows come from: those of the sources and those that ``datasets`` names."""
        read = [source.hub.name for source in self.entries if source.hub is not None]
        return tuple(dict.fromkeys((*read, *self.datasets)))

    @property
    def draws(self) -> bool:
        """Whether rows are left out by ``max_rows``, here or of a source."""
        return self.max_rows is not None or any(source.max_rows is not None for source in self.sources)

    @field_validator("datasets")
    @classmethod
    def _are_hub_ids(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not HUB_ID.fullmatch(name):
                raise ValueError(f"{name!r} is not the id of a data set on the hub; write OWNER/NAME")
        return names

    @field_validator("objective")
    @classmethod
    def _known_objective(cls, name: str) -> str:
        return objective_name(name)

    @field_validator("ignore_keys")
    @classmethod
    def _marks_are_not_ignored(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if is_mark(key):
                raise ValueError(
                    f"{key!r} marks what is learnt, and ignoring it would train on what must not be learnt; remove "
                    "it here, and mark rows (weight 0 or 1, train or label true or false) as `ratchet help data` "
                    "describes"
                )
        return keys
