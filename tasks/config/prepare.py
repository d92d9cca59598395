"""How training rows are read, dropped and split."""

import re
from typing import Any

from pydantic import Field, field_validator, model_validator

from tasks.config.marks import is_mark
from tasks.config.objectives import objective_name
from tasks.config.section import Section

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)


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


class PrepareParams(Section):
    """Training rows in, train and dev rows out."""

    sources: tuple[str, ...] = Field(min_length=1)
    """Files of rows (JSON lines or a JSON array, gzipped or not): chat (``messages``), ShareGPT, prompt/completion or
    Alpaca; documents (``text``) for objective text."""
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
    seed: int = 0

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
                    "it here, and mark rows as docs/data.md describes (weight 0 or 1, train or label true or false)"
                )
        return keys
