"""Golden items and the manifest of their set: what a line holds, and how it is read."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from evalsuite.core.errors import UsageError
from evalsuite.core.extensions import did_you_mean
from evalsuite.core.files import numbered_objects, read_model, sha256_file, sha256_json
from evalsuite.core.wrong_values import explain
from evalsuite.suites.golden_set.metric_params import Params
from evalsuite.suites.golden_set.metrics import KNOWN_METRICS, PARAMS

TOOLS_HEADING = (
    "Tools, one JSON schema a line. To use one, answer with "
    '<tool_call>{"name": NAME, "arguments": {...}}</tool_call> and nothing else.'
)


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Message(_Checked):
    """One chat turn of the prompt; ``tool`` is a tool's answer."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = Field(min_length=1)


class MetricSpec(_Checked):
    """A metric with parameters, where its name alone does not say enough."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


class GoldenItem(_Checked):
    """One line of dev.jsonl or test.jsonl."""

    id: str = Field(min_length=1)
    messages: tuple[Message, ...] = Field(min_length=1)
    """The turns so far; the model answers the last one, which is the user's or a tool's."""
    references: tuple[str, ...] = Field(min_length=1)
    metrics: tuple[str | MetricSpec, ...] = Field(min_length=1)
    must_pass: tuple[str | MetricSpec, ...] = ()
    """Metrics that must score 1.0 on this item, whatever the averages say."""
    tools: tuple[dict[str, Any], ...] = ()
    """JSON schemas of tools; they become text in the system turn, whatever the chat template."""
    weight: float = Field(default=1.0, gt=0.0, le=1000.0)
    """How much the item counts in a metric's value."""
    repeats: int = Field(default=1, ge=1, le=100)
    """Sampled answers; the item's score is their mean."""
    temperature: float = Field(default=0.0, ge=0.0, le=10.0)
    """Of sampled answers; 0 is greedy."""
    slices: dict[str, str] = Field(default_factory=dict)
    cluster: str | None = None

    @field_validator("messages")
    @classmethod
    def _asks_for_an_answer(cls, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        if any(message.role == "system" for message in messages[1:]):
            raise ValueError("a system turn that is not the first")
        if messages[-1].role not in ("user", "tool"):
            raise ValueError(f"the last turn is {messages[-1].role}'s; the model answers a user's or a tool's")
        return messages

    @field_validator("references")
    @classmethod
    def _no_empty_reference(cls, references: tuple[str, ...]) -> tuple[str, ...]:
        if any(not reference.strip() for reference in references):
            raise ValueError("a reference is empty")
        return references

    @field_validator("metrics", "must_pass")
    @classmethod
    def _known_metrics(cls, metrics: tuple[str | MetricSpec, ...]) -> tuple[str | MetricSpec, ...]:
        names = [_name(metric) for metric in metrics]
        for name in names:
            if name not in KNOWN_METRICS:
                hint = did_you_mean(name, KNOWN_METRICS)
                raise ValueError(f"unknown metric {name!r}; {hint}Known: {', '.join(KNOWN_METRICS)}")
            if names.count(name) > 1:
                raise ValueError(f"metric {name!r} twice; an item has a metric once")
        return metrics

    @model_validator(mode="after")
    def _parameters_fit(self) -> Self:
        if self.repeats > 1 and not self.temperature:
            raise ValueError(
                f"repeats: {self.repeats} without a temperature, so that all answers would be the same; "
                f"add temperature, such as 0.7"
            )
        both = set(map(_name, self.metrics)) & {m.name for m in self.must_pass if isinstance(m, MetricSpec)}
        if both:
            raise ValueError(f"metric {min(both)!r} with parameters in must_pass, and in metrics; name it once")
        _ = self.params
        return self

    @cached_property
    def params(self) -> dict[str, Params]:
        """Every metric to score, those that must pass included, with its parameters."""
        found: dict[str, Params] = {}
        for metric in (*self.metrics, *self.must_pass):
            name = _name(metric)
            if name not in found:
                found[name] = _parsed(name, metric.params if isinstance(metric, MetricSpec) else {})
        return found

    @property
    def all_metrics(self) -> tuple[str, ...]:
        """Names of the metrics to score, those that must pass included."""
        return tuple(self.params)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the metrics that must pass."""
        return tuple(map(_name, self.must_pass))

    @property
    def prompt(self) -> str:
        """What is asked, without the system turn."""
        return "\n".join(message.content for message in self.messages if message.role != "system")

    def turns(self) -> list[dict[str, str]]:
        """The turns that a chat template is given: tools and their answers as text."""
        turns = [_as_text(message) for message in self.messages]
        if self.tools:
            schemas = "\n".join(json.dumps(tool, sort_keys=True, ensure_ascii=False) for tool in self.tools)
            if turns[0]["role"] != "system":
                turns.insert(0, {"role": "system", "content": ""})
            turns[0]["content"] = f"{turns[0]['content']}\n\n{TOOLS_HEADING}\n{schemas}".lstrip()
        return turns

    def seed(self, repeat: int) -> int:
        """What the draws of one repeat start from; more repeats later leave the earlier ones as they are."""
        return int(sha256_json([self.id, repeat])[:8], 16)

    def digest(self) -> str:
        """Hash of what is asked and how it is scored."""
        fields = {"messages", "references", "metrics", "must_pass"}
        optional = {name for name in ("tools", "weight", "repeats", "temperature") if name in self.model_fields_set}
        return sha256_json(self.model_dump(mode="json", include=fields | optional))


def _name(metric: str | MetricSpec) -> str:
    return metric if isinstance(metric, str) else metric.name


def _parsed(name: str, params: dict[str, Any]) -> Params:
    """A metric's parameters, checked; the error names metric and field."""
    kind = PARAMS[name]
    try:
        return kind.model_validate(params)
    except ValidationError as error:
        known = ", ".join(kind.model_fields) or "none"
        raise ValueError(f"metric {name!r}: {explain(error, kind)}; parameters: {known}") from None


def _as_text(message: Message) -> dict[str, str]:
    if message.role == "tool":
        return {"role": "user", "content": f"<tool_response>\n{message.content}\n</tool_response>"}
    return {"role": message.role, "content": message.content}


class FileEntry(_Checked):
    """A file as the manifest knows it."""

    sha256: str
    n: int


class GoldenManifest(_Checked):
    """manifest.json of a set."""

    schema_version: Literal[1] = 1
    name: str
    version: str
    licence: str
    source: str
    files: dict[str, FileEntry]


def read_set_manifest(folder: Path) -> GoldenManifest:
    """Read a set's manifest and prove that its files are the ones it names.

    Raises:
        UsageError: A file's bytes or number of lines differ from the manifest, or the manifest is malformed.
    """
    path = folder / "manifest.json"
    manifest = read_manifest_file(folder)
    for name, entry in manifest.files.items():
        file = folder / name
        if not file.is_file():
            raise UsageError(f"{file} is named in {path} and absent; bring it back with `git checkout {folder}`")
        found = sha256_file(file)
        if found != entry.sha256:
            raise UsageError(
                f"{file} has sha256 {found}, {path} says {entry.sha256}; if the change is meant, "
                f"{_anew(folder)}, else bring the file back: `git checkout {file}`"
            )
        lines = num_lines(file)
        if lines != entry.n:
            raise UsageError(f"{file} has {lines} items, {path} says {entry.n}; {_anew(folder)}")
    return manifest


def read_manifest_file(folder: Path) -> GoldenManifest:
    """A set's manifest, its files not looked at.

    Raises:
        UsageError: It is absent or malformed; names the command that writes one.
    """
    path = folder / "manifest.json"
    if not path.exists():
        raise UsageError(f"no {path}; `ratchet golden new {folder}` writes it for the files that are there")
    return read_model(path, GoldenManifest, f"rm {path} && ratchet golden new {folder}")


def _anew(folder: Path) -> str:
    """How a manifest gets the sha256 and n of a file that was changed on purpose."""
    return f"`ratchet golden check {folder} --new-version VERSION` writes the new sha256 and n"


def num_lines(file: Path) -> int:
    """Lines that hold something."""
    return sum(1 for line in file.read_bytes().split(b"\n") if line.strip())


def read_golden_items(path: Path, again: str | None = None) -> tuple[GoldenItem, ...]:
    """Read and check every item.

    Args:
        path: A split's file.
        again: What to do after a line was fixed; by default the command that checks the set.

    Raises:
        UsageError: Names file and line of the first item that is malformed or has an id that was there before.
    """
    items: list[GoldenItem] = []
    seen: dict[str, int] = {}
    again = again or f"then `ratchet golden check {path.parent} --new-version VERSION`"
    if not path.is_file():
        raise UsageError(f"{path} is no file; expected one item per line (`ratchet help golden_sets`)")
    for number, row in numbered_objects(path, "an item", f"; fix the line, {again}"):
        try:
            item = GoldenItem.model_validate(row)
        except ValidationError as error:
            raise UsageError(f"{path}:{number}: {explain(error, GoldenItem)}; fix the line, {again}") from None
        if item.id in seen:
            raise UsageError(
                f"{path}:{number}: id {item.id!r} is already that of line {seen[item.id]}; give each item an id of its "
                f"own, {again}"
            )
        seen[item.id] = number
        items.append(item)
    if not items:
        raise UsageError(f"{path} has no items; write one a line (`ratchet help golden_sets`), {again}")
    return tuple(items)


def allowed_values(items: tuple[GoldenItem, ...]) -> dict[str, frozenset[str]]:
    """Every value that a JSON reference of the set gives to a field."""
    values: dict[str, set[str]] = {}
    for item in items:
        for reference in item.references:
            try:
                parsed: Any = json.loads(reference)
            except (ValueError, RecursionError):
                continue
            if isinstance(parsed, dict):
                for key, value in parsed.items():
                    if isinstance(value, str):
                        values.setdefault(key, set()).add(value)
    return {key: frozenset(found) for key, found in values.items()}


def asked_metrics(path: Path) -> frozenset[str]:
    """Every metric that an item of a file asks for; none where it is absent, which is the suite's to name.

    Raises:
        UsageError: The file is malformed.
    """
    if not path.is_file():
        return frozenset()
    return frozenset(metric for item in read_golden_items(path) for metric in item.all_metrics)
