"""Benchmarks by lm-eval's own tasks, prompts, filters and scorers; only the model behind them is ours."""

import json
import logging
import math
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_json
from evalsuite.engines.base import Engine, Generation
from evalsuite.items.lm_eval_values import (
    Aggregation,
    ItemScore,
    NoScore,
    NotApplicable,
    Value,
    aggregation_of,
    scored_value,
)
from evalsuite.items.results import ItemResult, SuiteResult
from evalsuite.suites.base import SetSize, Suite, check_known, result_of
from evalsuite.suites.entry import SuiteContext, SuiteEntry
from evalsuite.suites.golden_set import reasoning
from evalsuite.suites.golden_set.items import read_set_manifest
from evalsuite.suites.lm_eval.benchmark_root import SPLIT_FILES, local_splits, read_rows, tasks_there
from evalsuite.suites.lm_eval.data import hub_overrides, outside_of, pinned_dataset, prove_sentence_splitter
from evalsuite.suites.lm_eval.metrics import ROLLING, index_of, leaf_tasks, task_metrics
from evalsuite.suites.lm_eval.model import asked_texts, engine_lm
from evalsuite.suites.lm_eval.process import fix_language_detection, offline
from evalsuite.suites.lm_eval.settings import PUBLIC_TASKS, HarnessParams, HarnessTask

logger = logging.getLogger(__name__)

ID_FIELDS = ("question_id", "key", "id", "idx")
FAILED, NO_SCORE = "lm-eval's scorer failed on this answer", "lm-eval gave no score for this item alone"
SLICE_FIELDS = ("category", "subject", "bias_type", "gender")


class HarnessSuite(Suite):
    """One lm-eval task or group."""

    more_metrics = True
    """A task's code may give others than its YAML lists."""

    def __init__(
        self,
        task: str,
        data_root: Path | None = None,
        max_new_tokens: int | None = None,
        limit: int | None = None,
        apply_chat_template: bool = False,
        revisions: Mapping[str, str] | None = None,
    ) -> None:
        """Name the task; its data is loaded by ``run``.

        Args:
            task: An lm-eval task or group, such as ``mmlu_pro``.
            data_root: Folder with TASK/test.jsonl (and validation.jsonl for few-shot examples) in the public dataset's
                schema, used instead of the hub; its manifest.json is verified.
            max_new_tokens: Replaces the task's own ``max_gen_toks``.
            limit: First N items of each subtask.
            apply_chat_template: Put each prompt through the chat template.
            revisions: Hub dataset -> commit; required for every dataset of the task without a data root.

        Raises:
            UsageError: The data root lacks the task, or differs from its manifest.
        """
        self.name = task
        self.data_root = data_root
        self.max_new_tokens = max_new_tokens
        self.limit = limit
        self.apply_chat_template = apply_chat_template
        self.revisions = dict(revisions or {})
        self._used_revisions: set[str] = set()
        self._loaded: Any = None
        if data_root is not None:
            read_set_manifest(data_root)
            if not (data_root / task / "test.jsonl").is_file():
                found = ", ".join(tasks_there(data_root)) or "none"
                raise UsageError(f"no {data_root / task / 'test.jsonl'}; tasks there: {found}")

    def metric_names(self) -> tuple[str, ...] | None:
        """Metrics that the task lists; None where only a run tells."""
        return task_metrics(self.name)

    def set_size(self) -> SetSize | None:
        """Rows of the local test file; a limit counts for each category, since each is a subtask of its own."""
        if self.data_root is None:
            return None
        rows = read_rows(self.data_root / self.name / "test.jsonl")
        limit = self.limit or len(rows)
        size = sum(min(limit, count) for count in Counter(str(row.get("category", "")) for row in rows).values())
        values = {key: Counter(str(row[key]) for row in rows if row.get(key)) for key in SLICE_FIELDS}
        slices = {key: {v: min(limit, n) for v, n in counts.items()} for key, counts in values.items() if counts}
        return SetSize(size, None, slices)

    def run(self, engine: Engine, only: Collection[str] | None = None) -> SuiteResult:
        """Build lm-eval's requests, answer them with ``engine``, and keep its verdict on every item.

        A task that draws its few-shot examples at random gives an item another prompt when other items are asked for;
        its item hash then differs, so that the results do not count as comparable.
        """
        started = time.perf_counter()
        fix_language_detection()
        with offline(self.data_root):
            tasks = self._loaded = self._loaded or self._load_tasks()
            chosen = tasks if only is None else {"tasks": _with_items(tasks["tasks"], only, self.name)}
            model = engine_lm(engine, self.name)
            from lm_eval.evaluator import evaluate

            results = evaluate(
                lm=model,
                task_dict=chosen,
                limit=self.limit if only is None else None,
                samples=None if only is None else _positions(chosen["tasks"], only),
                bootstrap_iters=0,
                log_samples=True,
                apply_chat_template=self.apply_chat_template,
            )
        samples = results["samples"]
        items = tuple(
            item
            for name in sorted(samples)
            for item in _items(name, samples[name], model.generations, model.refusals, tasks["tasks"][name])
        )
        metrics = sorted({metric for item in items for metric in item.metrics})
        ratios = {metric for item in items for metric in item.denominators}
        harness = f"lm-eval {version('lm_eval')}"
        generates = any(task.OUTPUT_TYPE == "generate_until" for task in tasks["tasks"].values())
        scorer = f"{harness}, {reasoning.VERSION}" if generates else harness
        versions = sorted({str(task.VERSION) for task in tasks["tasks"].values()})
        return result_of(
            self.name,
            engine,
            items,
            started,
            suite_version=" ".join([harness, "task", *versions, *sorted(self._used_revisions)]),
            decoding={
                "greedy": True,
                "max_new_tokens": self.max_new_tokens or "task",
                "chat_template": self.apply_chat_template,
            },
            chat_template_sha256=engine.chat_template_sha256 if self.apply_chat_template else "",
            scorers={metric: scorer + (", ratio of sums" if metric in ratios else "") for metric in metrics},
        )

    def _load_tasks(self) -> Any:
        manager = index_of(self.name)
        members = [{"task": name, **self._data_of(manager, name)} for name in leaf_tasks(manager, self.name)]
        if self.data_root is None:
            prove_sentence_splitter(self.name)
        with _naming_bad_rows(self.name, self.data_root):
            loaded = manager.load({"group": "ratchet", "task": members})
            for task in loaded["tasks"].values() if self.data_root is not None else ():
                for document in task.eval_docs:
                    _read_by_task(task, document)
        for task in loaded["tasks"].values():
            _leave_unscored_what_fails(task)
            if task.config.generation_kwargs is not None and self.max_new_tokens is not None:
                task.config.generation_kwargs["max_gen_toks"] = self.max_new_tokens
        return loaded

    def _data_of(self, manager: Any, task: str) -> dict[str, Any]:
        """What a leaf task's config is overridden with: local files, or the pinned commit of its hub dataset."""
        if self.data_root is not None:
            folder = self.data_root / self.name
            local = {"dataset_path": "json", "dataset_name": None}
            return {**local, "custom_dataset": lambda **_: local_splits(folder)}
        repo = pinned_dataset(manager, task, self.revisions)
        self._used_revisions.add(f"{repo.name}@{repo.commit[:12]}")
        return hub_overrides(manager, task, repo, self.name)


def _ids(task_name: str, task: Any) -> list[str]:
    """An id of each document: the dataset's own where every document has another one, else its position."""
    documents = list(task.eval_docs)
    for field in ID_FIELDS:
        found = [document.get(field) for document in documents]
        if None not in found and len(set(map(str, found))) == len(found):
            return [f"{task_name}/{each}" for each in found]
    return [f"{task_name}/{position}" for position in range(len(documents))]


def _with_items(tasks: Mapping[str, Any], only: Collection[str], suite: str) -> dict[str, Any]:
    """The tasks that hold one of the items; lm-eval would run a task without a choice of items as a whole."""
    ids = {name: set(_ids(name, task)) for name, task in tasks.items()}
    check_known(suite, only, set().union(*ids.values()))
    return {name: tasks[name] for name, known in ids.items() if not known.isdisjoint(only)}


def _positions(tasks: Mapping[str, Any], only: Collection[str]) -> dict[str, list[int]]:
    """Places of the items in each task, ascending, since lm-eval walks through the documents in their order."""
    wanted = set(only)
    return {
        name: [position for position, item in enumerate(_ids(name, task)) if item in wanted]
        for name, task in tasks.items()
    }


def _read_by_task(task: Any, document: Mapping[str, Any]) -> None:
    """Raise whatever the task's own code raises; lm-eval takes the name of an absent field for a text."""
    field = task.config.doc_to_text
    if isinstance(field, str) and field.isidentifier() and field not in document:
        raise KeyError(field)
    task.doc_to_text(document)
    task.doc_to_target(document)


def _leave_unscored_what_fails(task: Any) -> None:
    """lm-eval ends the whole run where a task's scorer fails on one answer; here that item alone has no score."""
    score = task.process_results

    def guarded(document: Any, results: Any) -> dict[str, Any]:
        try:
            return dict(score(document, results))
        except Exception as error:  # a scorer of any task, on a text of any model
            logger.warning("lm-eval's scorer failed on an answer (%s): the item is unscored", type(error).__name__)
            return {}

    task.process_results = guarded


@contextmanager
def _naming_bad_rows(task: str, data_root: Path | None) -> Iterator[None]:
    """What lm-eval's own code says of rows that are not the public dataset's, or of a package that it needs."""
    try:
        yield
    except ImportError as error:
        raise UsageError(f"lm-eval task {task!r} needs a package that is not here: {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError, TemplateError) as error:
        if data_root is None:
            raise
        missing = SPLIT_FILES.get(str(error.args[0])) if isinstance(error, KeyError) and error.args else None
        if missing is not None and not (data_root / task / missing).is_file():
            raise UsageError(
                f"{data_root / task} has no {missing}, from which lm-eval's task {task!r} takes the examples of its "
                "prompts; put rows of the public dataset there, none of them in test.jsonl"
            ) from None
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UsageError(
            f"{data_root / task}: lm-eval's task cannot read a row ({reason}); expected the public dataset's fields"
        ) from None


def _items(
    task_name: str,
    samples: Sequence[Mapping[str, Any]],
    generations: Mapping[str, Generation],
    refusals: Mapping[tuple[str, ...], str],
    task: Any,
) -> Iterator[ItemResult]:
    """One result per item; where a task has several filters, the last one is its published answer.

    An item with a prompt that the engine refused is unscored, whatever lm-eval made of the empty answer.
    """
    ids = _ids(task_name, task)
    aggregations = {metric: aggregation_of(function) for metric, function in task.aggregation().items()}
    by_document: dict[int, Mapping[str, Any]] = {}
    for sample in samples:
        by_document[sample["doc_id"]] = sample
    known = {metric for sample in by_document.values() for metric in sample["metrics"]} or set(task.aggregation())
    for document_id, sample in sorted(by_document.items()):
        document = sample["doc"]
        failed = not sample["metrics"]
        metrics = tuple(sorted(known if failed else sample["metrics"]))
        refusal = next((refusals[key] for key in map(asked_texts, sample["arguments"]) if key in refusals), None)
        logged = {metric: sample.get(metric) for metric in metrics}
        if task.OUTPUT_TYPE == "loglikelihood_rolling" and not failed:
            logged = _rates(logged)
        values = {metric: _value_of(metric, value, aggregations) for metric, value in logged.items()}
        metrics = tuple(sorted(metric for metric, value in values.items() if not isinstance(value, NotApplicable)))
        counted = {metric: value for metric, value in values.items() if isinstance(value, ItemScore)}
        scored = {} if refusal else counted
        why = next((value.reason for value in values.values() if isinstance(value, NoScore)), NO_SCORE)
        prompt = str(sample["arguments"][0][0])
        generation = generations.get(prompt)
        response = sample["resps"][0][0]
        yield ItemResult(
            item_id=ids[document_id],
            item_hash=sha256_json([sample["doc_hash"], sample["prompt_hash"], sample["target_hash"]]),
            slices={name: str(document[name]) for name in SLICE_FIELDS if document.get(name)},
            metrics=metrics,
            scores={metric: value.score for metric, value in scored.items()},
            denominators={m: value.denominator for m, value in counted.items() if value.denominator is not None},
            unscored=None if len(scored) == len(metrics) else refusal or (FAILED if failed else why),
            prompt=str(task.doc_to_text(document)),
            references=(str(sample["target"]),),
            output=_whole(response, generation),
            num_prompt_tokens=generation.num_prompt_tokens if generation else 0,
            num_output_tokens=generation.num_output_tokens if generation else 0,
        )


def _whole(response: Any, generation: Generation | None) -> str:
    """What the model wrote, its reasoning included, which lm-eval did not see."""
    if not isinstance(response, str):
        return json.dumps(response)
    return response if generation is None else generation.text


def _value_of(metric: str, value: Any, aggregations: Mapping[str, Aggregation]) -> Value:
    """A metric that the task aggregates by no function of its own is one that this suite made (``_rates``)."""
    if isinstance(value, ItemScore):
        return value
    return scored_value(metric, value, aggregations.get(metric, Aggregation(False, "unknown")))


def _rates(values: Mapping[str, Any]) -> dict[str, Any]:
    """Rolling tasks' (log-probability, units) pairs as ratios of sums, which a perplexity's exponential is not.

    ``word_perplexity`` is exp of ``nats_per_word``, ``byte_perplexity`` exp of ``nats_per_byte``.
    """
    rates: dict[str, Any] = {}
    for metric, value in values.items():
        if metric in ROLLING:
            nats, units = value
            unit = math.log(2) if metric == "bits_per_byte" else 1.0
            rates[ROLLING[metric]] = ItemScore(-float(nats) / unit, float(units))
        else:
            rates[metric] = value
    return rates


def task_suite(params: HarnessParams, context: SuiteContext) -> HarnessSuite:
    """A task of lm-eval; one that the settings do not list has the public dataset's rows where no local ones are."""
    name, root = context.name, Path(params.data_root) if params.data_root else None
    task = params.tasks.get(name) or PUBLIC_TASKS.get(name, HarnessTask())
    if root is not None and name not in params.tasks and name not in tasks_there(root):
        root = None
    options = (task.max_new_tokens, context.least(task.limit), task.apply_chat_template, params.revisions)
    return HarnessSuite(name, root, *options)


SUITE = SuiteEntry(
    "harness",
    HarnessParams,
    task_suite,
    files=("data_root",),
    takes_limit=True,
    names=lambda params: params.tasks,
    outside=lambda params, _: outside_of(params),
    default=HarnessParams(),
)
