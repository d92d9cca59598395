"""What later stages need from a hub or a server, proven to be there before anything is spent.

Nothing here asks the network where all is on this machine already. A hub that does not answer is one request of a few
seconds, and its message names the line of params.yaml, what is wanted, from where, and what helps.
"""

from collections.abc import Callable, Iterable, Iterator

from evalsuite.core.errors import RatchetError, StageError, UsageError
from evalsuite.network.outside import Model, Need, Outside, Program, Server
from evalsuite.suites.golden_set.suite import golden_outside
from tasks.config.engine import EngineKind, EngineParams
from tasks.config.evaluation import EvaluationParams
from tasks.config.model import ModelParams
from tasks.config.params import Params
from tasks.evaluation.suites import outside_suites
from tasks.prepare.inputs.hub_files import hub_repositories


def check_pinned(params: EvaluationParams) -> None:
    """Refuse hub ids without a commit, before anything is spent; asks no network.

    Raises:
        UsageError: A hub id has no commit; names its key.
    """
    _needs(_of_evaluation(params))


def missing(params: Params, base_too: bool = True, rows_too: bool = True) -> list[Need]:
    """What a run needs and is not on this machine, in the order of the stages; asks no network.

    Args:
        params: The settings.
        base_too: Count the model to fine-tune; not where it was fetched and exported already.
        rows_too: Count the data sets of ``prepare.sources``; not where the rows are prepared already.

    Raises:
        UsageError: A hub id has no commit.
    """
    base = [_base_model(params.model)] if base_too else []
    rows = hub_repositories(params.prepare) if rows_too else []
    return _absent([*base, *rows, *_of_evaluation(params.evaluation)])


def needed(params: Params, stages: Iterable[str]) -> list[Need]:
    """What these stages of dvc.yaml need and is missing here; see ``missing``."""
    kinds = {name.partition("@")[0] for name in stages}
    if not kinds & {"fetch", "train", "evaluate", "evaluate_baseline"}:
        return _absent(hub_repositories(params.prepare)) if "prepare" in kinds else []
    return missing(params, base_too="fetch" in kinds, rows_too="prepare" in kinds)


def prove_needed(params: Params, stages: Iterable[str]) -> None:
    """Ask hub and servers, once and quickly, for all that these stages need; downloads nothing.

    Raises:
        UsageError: One line a problem: something does not exist, or is not shown to us.
        StageError: One line a problem: a hub or server does not answer.
    """
    _all([need.prove for need in needed(params, stages)])


def bring(params: EvaluationParams, servers: bool = True) -> None:
    """Download what the suites need and is missing here, and reach the servers where asked to; see ``prove_needed``."""
    wanted = [need for need in _needs(_of_evaluation(params)) if servers or not need.is_server]
    _all([need.bring for need in wanted if not need.is_here()])


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


def _absent(wanted: Iterable[Outside]) -> list[Need]:
    return [need for need in _needs(wanted) if not need.is_here()]


def _needs(wanted: Iterable[Outside]) -> list[Need]:
    """Each thing once: several suites may read the same model."""
    found = [need for outside in wanted if (need := outside.need()) is not None]
    return list({(need.key, need.what): need for need in found}.values())


def _base_model(params: ModelParams) -> Model:
    remedy = "name a folder or package:NAME in model.id"
    return Model("model.id", params.id, params.revision, "model.revision", remedy)


def _of_evaluation(params: EvaluationParams) -> Iterator[Outside]:
    yield from golden_outside(params.golden, "dev")  # of training
    yield from outside_suites(params)
    if params.engine.kind is EngineKind.OPENAI:
        yield _engine(params.engine)
    elif params.engine.kind is EngineKind.VLLM:
        yield Program("evaluation.engine.kind", "vllm", "vllm", "install it, or set kind hf or openai")


def _engine(settings: EngineParams) -> Server:
    """The server of the base model; a method's own cannot be there before the method was trained."""
    url = (settings.base_url or "").replace("{model}", "base")
    remedy = "start it with the base model, or set evaluation.engine.kind to hf"
    return Server("evaluation.engine.base_url", url, settings.api_key_variable, remedy)
