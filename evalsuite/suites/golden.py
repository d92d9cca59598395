"""The domain's golden set: hand-written items, each with its references and its metrics."""

import difflib
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from evalsuite.engines.base import Engine, Generation, GenerationRequest
from evalsuite.errors import UsageError
from evalsuite.files import read_model, sha256_file, sha256_json
from evalsuite.results import ItemResult, SuiteInfo, SuiteResult, items_sha256
from evalsuite.suites.bertscore import BertScorer
from evalsuite.suites.metrics import KNOWN_METRICS, TEXT_METRICS, VERSION, MetricContext, score_text

Split = Literal["dev", "test"]


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Message(_Checked):
    """One chat turn of the prompt."""

    role: Literal["system", "user", "assistant"]
    content: str = Field(min_length=1)


class GoldenItem(_Checked):
    """One line of dev.jsonl or test.jsonl."""

    id: str = Field(min_length=1)
    messages: tuple[Message, ...] = Field(min_length=1)
    references: tuple[str, ...] = Field(min_length=1)
    metrics: tuple[str, ...] = Field(min_length=1)
    must_pass: tuple[str, ...] = ()
    """Metrics that must score 1.0 on this item, whatever the averages say."""
    slices: dict[str, str] = Field(default_factory=dict)
    cluster: str | None = None

    @field_validator("references")
    @classmethod
    def _no_empty_reference(cls, references: tuple[str, ...]) -> tuple[str, ...]:
        if any(not reference.strip() for reference in references):
            raise ValueError("a reference is empty")
        return references

    @field_validator("metrics", "must_pass")
    @classmethod
    def _known_metrics(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for name in metrics:
            if name not in KNOWN_METRICS:
                near = difflib.get_close_matches(name, KNOWN_METRICS, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ValueError(f"unknown metric {name!r}; {hint}Known: {', '.join(KNOWN_METRICS)}")
        return metrics

    @property
    def all_metrics(self) -> tuple[str, ...]:
        """Metrics to score, those that must pass included."""
        return tuple(dict.fromkeys((*self.metrics, *self.must_pass)))

    def digest(self) -> str:
        """Hash of what is asked and how it is scored."""
        return sha256_json(self.model_dump(mode="json", include={"messages", "references", "metrics", "must_pass"}))


class FileEntry(_Checked):
    """A file as the manifest knows it."""

    sha256: str
    n: int


class GoldenManifest(_Checked):
    """manifest.json of a set."""

    schema_version: Literal[1]
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
    manifest = read_model(path, GoldenManifest, f"git checkout {folder}")
    for name, entry in manifest.files.items():
        file = folder / name
        if not file.is_file():
            raise UsageError(f"{file} is named in {path} and absent; bring it back with `git checkout {folder}`")
        found = sha256_file(file)
        if found != entry.sha256:
            raise UsageError(
                f"{file} has sha256 {found}, {path} says {entry.sha256}; if the change is meant, raise the version and "
                f"write the new sha256 and n into the manifest, else `git checkout {folder}`"
            )
        lines = sum(1 for line in file.read_bytes().split(b"\n") if line.strip())
        if lines != entry.n:
            raise UsageError(f"{file} has {lines} items, {path} says {entry.n}; write the right n into the manifest")
    return manifest


def read_golden_items(path: Path) -> tuple[GoldenItem, ...]:
    """Read and check every item.

    Raises:
        UsageError: Names file and line of the first item that is malformed or has an id that was there before.
    """
    items: list[GoldenItem] = []
    seen: dict[str, int] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = GoldenItem.model_validate(json.loads(line))
        except json.JSONDecodeError as error:
            raise UsageError(f"{path}:{number}: not JSON ({error.msg})") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise UsageError(f"{path}:{number}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
        if item.id in seen:
            raise UsageError(f"{path}:{number}: id {item.id!r} is already that of line {seen[item.id]}")
        seen[item.id] = number
        items.append(item)
    if not items:
        raise UsageError(f"{path} has no items")
    return tuple(items)


class GoldenSuite:
    """One split of a golden set."""

    name = "golden"

    def __init__(self, folder: Path, split: Split, max_new_tokens: int, bert_scorer: BertScorer) -> None:
        """Read the set; nothing is loaded yet.

        Args:
            folder: Holds dev.jsonl, test.jsonl and manifest.json.
            split: ``dev`` selects epochs, ``test`` is for the gate alone.
            max_new_tokens: Longest answer, in tokens.
            bert_scorer: Scores ``bertscore_f1`` where an item asks for it.
        """
        if not folder.is_dir():
            raise UsageError(f"no golden set at {folder}; set evaluation.golden.path")
        self.manifest = read_set_manifest(folder)
        if f"{split}.jsonl" not in self.manifest.files:
            raise UsageError(f"{folder / 'manifest.json'} names no {split}.jsonl")
        self.split = split
        self.items = read_golden_items(folder / f"{split}.jsonl")
        self.max_new_tokens = max_new_tokens
        self.bert_scorer = bert_scorer
        self._context = MetricContext(allowed_values=_allowed_values(self.items))

    def run(self, engine: Engine) -> SuiteResult:
        """Answer every item greedily and score each answer."""
        started = time.perf_counter()
        requests = [
            GenerationRequest(
                engine.render([message.model_dump() for message in item.messages]), (), self.max_new_tokens
            )
            for item in self.items
        ]
        outputs = engine.generate(requests, f"golden {self.split}")
        results = self._score(outputs)
        metrics = sorted({metric for item in self.items for metric in item.all_metrics})
        info = SuiteInfo(
            suite=self.name,
            suite_version=f"{self.manifest.name} {self.manifest.version} {self.split}",
            items_sha256=items_sha256(results),
            decoding={"greedy": True, "max_new_tokens": self.max_new_tokens},
            chat_template_sha256=engine.chat_template_sha256,
            scorers={m: self.bert_scorer.version if m not in TEXT_METRICS else VERSION for m in metrics},
            engine=engine.name,
            model_identity=engine.model_identity,
        )
        return SuiteResult(info=info, items=results, seconds=time.perf_counter() - started)

    def _score(self, outputs: list[Generation]) -> tuple[ItemResult, ...]:
        by_model = [index for index, item in enumerate(self.items) if "bertscore_f1" in item.all_metrics]
        values = self.bert_scorer.f1(
            [outputs[index].text for index in by_model], [self.items[index].references for index in by_model]
        )
        bert = dict(zip(by_model, values, strict=True))
        results = []
        for index, (item, output) in enumerate(zip(self.items, outputs, strict=True)):
            scores = {
                metric: bert[index]
                if metric == "bertscore_f1"
                else score_text(metric, output.text, item.references, self._context)
                for metric in item.all_metrics
                if output.refusal is None
            }
            results.append(
                ItemResult(
                    item_id=item.id,
                    item_hash=item.digest(),
                    cluster=item.cluster,
                    slices=item.slices,
                    must_pass=item.must_pass,
                    metrics=item.all_metrics,
                    scores=scores,
                    unscored=output.refusal,
                    prompt="\n".join(message.content for message in item.messages if message.role != "system"),
                    references=item.references,
                    output=output.text,
                    num_prompt_tokens=output.num_prompt_tokens,
                    num_output_tokens=output.num_output_tokens,
                )
            )
        return tuple(results)


def _allowed_values(items: tuple[GoldenItem, ...]) -> dict[str, frozenset[str]]:
    """Every value that a JSON reference of the set gives to a field."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for item in items:
        for reference in item.references:
            try:
                parsed: Any = json.loads(reference)
            except ValueError:
                continue
            if isinstance(parsed, dict):
                for key, value in parsed.items():
                    if isinstance(value, str):
                        values[key].add(value)
    return {key: frozenset(found) for key, found in values.items()}
