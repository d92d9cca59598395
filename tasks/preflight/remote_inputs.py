"""What later stages need from a hub or a server, proven to be there before anything is spent.

Nothing here asks the network where all is on this machine already. A hub that does not answer is one request of a few
seconds, and its message names the line of params.yaml, what is wanted, from where, and what helps.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import RatchetError, StageError, UsageError
from evalsuite.judges.choose import CLASSIFIERS
from evalsuite.judges.settings import JudgeKind, JudgeSettings
from evalsuite.network.hub import HubRepo, RepoKind, address, check_commit, fetched, here, reach
from evalsuite.network.model_source import resolve_model
from evalsuite.network.network_errors import is_network_error, said_by
from evalsuite.suites.bertscore import SUITE as BERTSCORE
from evalsuite.suites.golden_set.bertscore import MODEL_KEY, REMEDY, REVISION_KEY
from evalsuite.suites.golden_set.items import asked_metrics
from evalsuite.suites.golden_set.scoring import BERT_METRICS
from evalsuite.suites.golden_set.settings import GoldenParams
from evalsuite.suites.harmbench import SUITE as HARMBENCH
from evalsuite.suites.lm_eval.data import (
    SPLITTER,
    has_sentence_splitter,
    hub_datasets,
    key_of,
    prove_sentence_splitter,
    remedy_of,
)
from evalsuite.suites.lm_eval.suite import SUITE as HARNESS
from tasks.config.engine import EngineKind, EngineParams
from tasks.config.evaluation import EvaluationParams
from tasks.config.model import ModelParams
from tasks.config.params import Params

SERVER_SECONDS = 5.0
"""For a connection to a server that later stages ask."""
NO_ENTRY = frozenset({401, 403})


class Remote(NamedTuple):
    """One thing that is not part of the project, its folders or packages."""

    key: str
    """The line of params.yaml that names it."""
    what: str
    """What it is, and from where."""
    is_here: Callable[[], bool]
    """Whether it is on this machine; asks no network."""
    prove: Callable[[], object]
    """Asks once whether it can be had; raises where it cannot."""
    bring: Callable[[], object]
    """Brings it here where that is possible; raises where it cannot be had."""
    is_server: bool = False
    """It answers from where it is, and is never here."""


def check_pinned(params: EvaluationParams) -> None:
    """Refuse hub ids without a commit, before anything is spent; asks no network.

    Raises:
        UsageError: Names the key that lacks a commit.
    """
    for _ in _of_evaluation(params):
        pass


def missing(params: Params, base_too: bool = True) -> list[Remote]:
    """What a run needs and is not on this machine, in the order of the stages; asks no network.

    Args:
        params: The settings.
        base_too: Count the model to fine-tune; not where it was fetched and exported already.

    Raises:
        UsageError: A hub id has no commit.
    """
    wanted = [*(_of_model(params.model) if base_too else ()), *_of_evaluation(params.evaluation)]
    return [remote for remote in wanted if not remote.is_here()]


def needed(params: Params, stages: Iterable[str]) -> list[Remote]:
    """What these stages of dvc.yaml need and is missing here; see ``missing``."""
    kinds = {name.partition("@")[0] for name in stages}
    if not kinds & {"fetch", "train", "evaluate", "evaluate_baseline"}:
        return []
    return missing(params, base_too="fetch" in kinds)


def prove_needed(params: Params, stages: Iterable[str]) -> None:
    """Ask hub and servers, once and quickly, for all that these stages need; downloads nothing.

    Raises:
        UsageError: One line a problem: something does not exist, or is not shown to us.
        StageError: One line a problem: a hub or server does not answer.
    """
    _all([remote.prove for remote in needed(params, stages)])


def bring(params: EvaluationParams, servers: bool = True) -> None:
    """Download what the suites need and is missing here, and reach the servers where asked to; see ``prove_needed``."""
    _all([remote.bring for remote in _of_evaluation(params, servers) if not remote.is_here()])


def _all(questions: list[Callable[[], object]]) -> None:
    problems: list[RatchetError] = []
    for question in questions:
        try:
            question()
        except RatchetError as error:
            problems.append(error)
    if problems:
        # A retry helps only where the network alone is to blame.
        kind = UsageError if any(isinstance(each, UsageError) for each in problems) else StageError
        raise kind("\n".join(dict.fromkeys(map(str, problems))))


def _of_model(params: ModelParams) -> Iterator[Remote]:
    remedy = "name a folder or package:NAME in model.id"
    yield from _hub_model("model.id", params.id, params.revision, "model.revision", remedy)


def _of_evaluation(params: EvaluationParams, servers: bool = True) -> Iterator[Remote]:
    found = list(_of_suites(params))
    yield from (remote for remote in found if servers or not remote.is_server)


def _of_suites(params: EvaluationParams) -> Iterator[Remote]:
    yield from _of_golden(params.golden, with_bertscore=params.section(BERTSCORE) is not None)
    if (harness := params.section(HARNESS)) is not None and harness.data_root is None:
        for task in harness.tasks:
            yield from _of_task(task, harness.revisions)
    if (harmbench := params.section(HARMBENCH)) is not None:
        yield from _of_judge("evaluation.harmbench.judge", harmbench.judge)
    if params.engine.kind is EngineKind.OPENAI:
        yield _engine(params.engine)
    elif params.engine.kind is EngineKind.VLLM:
        yield _program("evaluation.engine.kind", "vllm")


def _of_golden(params: GoldenParams, with_bertscore: bool) -> Iterator[Remote]:
    asked = _asked(params)
    if with_bertscore or asked & set(BERT_METRICS):
        yield from _hub_model(MODEL_KEY, params.bertscore_model, params.bertscore_revision, REVISION_KEY, REMEDY)
    if params.judge is not None and "judge" in asked:
        yield from _of_judge("evaluation.golden.judge", params.judge)


def _asked(params: GoldenParams) -> frozenset[str]:
    """Metrics of the set's items; none where it cannot be read, which its own check says."""
    try:
        return frozenset().union(*(asked_metrics(Path(params.path) / f"{split}.jsonl") for split in ("dev", "test")))
    except (RatchetError, OSError):
        return frozenset()


def _of_task(task: str, revisions: dict[str, str]) -> Iterator[Remote]:
    for repo in hub_datasets(task, revisions):
        yield _hub(key_of(task), repo, remedy_of(task))
    if "ifeval" in task:
        splitter = f"NLTK's {SPLITTER}, from NLTK's own server"
        fetch = lambda: prove_sentence_splitter(task)  # noqa: E731
        yield Remote(key_of(task), splitter, has_sentence_splitter, fetch, fetch)


def _of_judge(key: str, settings: JudgeSettings) -> Iterator[Remote]:
    if settings.kind is JudgeKind.CHAT and settings.base_url is not None:
        remedy = f"start it, or choose another judge in {key}"
        yield _server(f"{key}.base_url", settings.base_url, settings.api_key_variable, remedy)
    elif settings.kind in CLASSIFIERS:
        name = settings.model or CLASSIFIERS[settings.kind][0]
        remedy = f"name a folder in {key}.model, or choose another judge"
        yield from _hub_model(f"{key}.model", name, settings.revision, f"{key}.revision", remedy)


def _engine(settings: EngineParams) -> Remote:
    """The server of the base model; a method's own cannot be there before the method was trained."""
    url = (settings.base_url or "").replace("{model}", "base")
    remedy = "start it with the base model, or set evaluation.engine.kind to hf"
    return _server("evaluation.engine.base_url", url, settings.api_key_variable, remedy)


def _hub_model(key: str, name: str, revision: str | None, revision_key: str, remedy: str) -> Iterator[Remote]:
    if resolve_model(name).folder is None:
        yield _hub(key, HubRepo(RepoKind.MODEL, name, check_commit(key, name, revision, revision_key)), remedy)


def _hub(key: str, repo: HubRepo, remedy: str) -> Remote:
    return Remote(
        key,
        f"{repo}, from {address()}",
        lambda: here(repo) is not None,
        lambda: reach(repo, key, remedy),
        lambda: fetched(repo, key, remedy),
    )


def _program(key: str, name: str) -> Remote:
    def there() -> bool:
        return shutil.which(name) is not None

    def refuse() -> None:
        if not there():
            raise UsageError(f"{key} = {name}: no program {name!r} here; install it, or set kind hf or openai")

    return Remote(key, f"the program {name}", there, refuse, refuse)


def _server(key: str, url: str, key_variable: str, remedy: str) -> Remote:
    def answer() -> None:
        import httpx

        secret = os.environ.get(key_variable, "")
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        local = httpx.URL(url).host in ("127.0.0.1", "localhost", "::1")
        try:
            with httpx.Client(headers=headers, timeout=SERVER_SECONDS, trust_env=not local) as client:
                code = client.get(f"{url.rstrip('/')}/models").status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            if isinstance(error, httpx.InvalidURL) or not is_network_error(error):
                raise UsageError(f"{key} = {url!r} is no address of a server ({said_by(error)}); {remedy}") from None
            raise StageError(f"{key}: the server {url} does not answer ({said_by(error)}): {remedy}") from None
        if code in NO_ENTRY:
            raise UsageError(f"{key}: the server {url} answers {code}: check the key in {key_variable}, or {remedy}")

    return Remote(key, f"a server at {url}", lambda: False, answer, answer, is_server=True)
