"""The model to fine-tune, as params.yaml names it."""

import re
from datetime import date
from typing import Any, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from tasks.config.section import Section

ARGUMENT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
RESERVED_ARGUMENTS = frozenset(
    {
        *("messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "chat_template"),
        *("tokenize", "strftime_now", "raise_exception", "namespace", "dict", "range"),
        *("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token"),
    }
)
"""Names in a chat template that are not settings."""
TRUTHS = frozenset({"yes", "no", "y", "n", "on", "off", "true", "false", "0", "1"})
"""Texts that people write for true or false, but that a template reads as text, or as true."""


class ModelParams(Section):
    """The model to fine-tune."""

    id: str
    """Hub id, folder, or ``package:NAME`` for an installed Python package that carries the weights."""
    revision: str | None = None
    """Hub commit; required for a hub id, so that the run can be repeated."""
    trust_remote_code: bool = False
    """Execute code from the model's repository; requires a pinned revision."""
    chat_template: str | None = None
    """A Jinja file that replaces the tokenizer's chat template."""
    chat_template_kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the chat template, such as ``enable_thinking: false``; part of the exported template."""
    chat_template_date: date | None = None
    """The date that a template writes in place of today's (YYYY-MM-DD); part of the exported template. Quote it:
    DVC rejects YAML dates."""
    licence: str | None = None
    """SPDX id of the weights' licence, for the model card; read from the model's files where absent."""

    @field_validator("chat_template_date", mode="before")
    @classmethod
    def _date_is_a_text(cls, value: Any) -> Any:
        if isinstance(value, date):
            raise ValueError(f'write it in quotes, "{value:%Y-%m-%d}": DVC cannot read a date of YAML')
        return value

    @field_validator("chat_template_kwargs")
    @classmethod
    def _arguments_are_free_names(cls, arguments: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name in arguments:
            if name in RESERVED_ARGUMENTS:
                raise ValueError(
                    f"{name!r} is filled in with every conversation, so it cannot be fixed; leave it out"
                    + ("; to fix the date, set model.chat_template_date" if name == "strftime_now" else "")
                )
            if not ARGUMENT.fullmatch(name):
                raise ValueError(f"{name!r} is not a valid variable name: use letters, digits and _, a letter first")
            _check_truths(name, arguments[name])
        return arguments

    @model_validator(mode="after")
    def _code_needs_a_revision(self) -> Self:
        if self.trust_remote_code and self.revision is None:
            raise ValueError("trust_remote_code needs revision: a commit of the repository whose code you have read")
        return self


def _check_truths(name: str, value: JsonValue) -> None:
    """Refuse values that are meant as true or false but are neither, in nested mappings too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_truths(f"{name}.{key}", inner)
    elif value is None:
        raise ValueError(f"{name} is null, which is neither true nor false; write true or false, or remove it")
    elif isinstance(value, str) and value.strip().lower() in TRUTHS:
        raise ValueError(
            f"{name} is the text {value!r}, which a chat template does not read as true or false; write true or "
            "false, without quotes"
        )
