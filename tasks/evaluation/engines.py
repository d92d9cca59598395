"""The engine that params ask for, with a model's exported bytes behind it and its earlier answers before it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evalsuite.core.errors import UsageError
from evalsuite.engines.base import Engine
from evalsuite.engines.cache.answer_store import open_store
from evalsuite.engines.cache.cached import CachedEngine
from evalsuite.suites.golden_set.items import read_golden_items
from tasks.config.engine import EngineKind
from tasks.config.evaluation import EvaluationParams
from tasks.paths import ArtifactPaths

NUM_PROBES = 4


@contextmanager
def opened_engine(
    model: str,
    folder: Path,
    identity: str,
    params: EvaluationParams,
    paths: ArtifactPaths,
    adapter: Path | None = None,
) -> Iterator[CachedEngine]:
    """An engine for ``folder``; a server is proven to have these weights, and ended if it was started here.

    Args:
        model: base, champion, a method or another name; fills ``{model}`` in a server's address and name.
        folder: The exported weights.
        identity: Of the folder.
        params: Which engine, and how it is set.
        paths: Where answers are kept and where a server that is started here writes.
        adapter: A peft adapter that is put on the weights without merging.

    Raises:
        UsageError: The server has other weights, or the engine's settings do not fit.
        StageError: The server cannot be reached.
    """
    from evalsuite.engines.hf import HFEngine

    if adapter is not None and params.engine.kind is not EngineKind.HF:
        raise UsageError(f"evaluation.engine.kind {params.engine.kind} takes no adapter; use kind hf, or merge it")
    if params.engine.kind is EngineKind.HF:
        engine = HFEngine.load(folder, identity, params.batch_tokens, params.long_prompts, adapter)
        yield _cached(engine, params, paths)
        return
    with _server(model, folder, identity, params, paths) as remote:
        yield _cached(remote, params, paths)


def _cached(engine: Engine, params: EvaluationParams, paths: ArtifactPaths) -> CachedEngine:
    return CachedEngine(engine, open_store(paths.eval_cache if params.cache else None, engine.model_identity))


@contextmanager
def _server(
    model: str, folder: Path, identity: str, params: EvaluationParams, paths: ArtifactPaths
) -> Iterator[Engine]:
    from evalsuite.engines.hf import HFEngine

    settings = params.engine
    from evalsuite.engines.openai import OpenAIEngine, check_served_model
    from evalsuite.engines.server import free_port, serving

    names = {"send", "concurrency", "timeout_seconds", "max_retries", "api_key_variable"}
    options = {**settings.model_dump(include=names), "long_prompts": params.long_prompts}
    if settings.kind is EngineKind.VLLM:
        port, name = free_port(), identity[:16]
        local = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", name]
        command = ["vllm", "serve", str(folder), *local, *settings.server_arguments]
        # A server of this folder, started here, has these weights; token ids keep it from adding special tokens.
        with serving(command, f"http://127.0.0.1:{port}/health", paths.root / ".ratchet" / f"server-{model}.log"):
            address = f"http://127.0.0.1:{port}/v1"
            yield OpenAIEngine.for_folder(folder, identity, address, name, **(options | {"send": "tokens"}))
        return
    address = (settings.base_url or "").replace("{model}", model)
    served = (settings.served_model or str(folder)).replace("{model}", model)
    engine = OpenAIEngine.for_folder(folder, identity, address, served, **options)
    if settings.check_weights:
        items = read_golden_items(Path(params.golden.path) / "dev.jsonl")[:NUM_PROBES]
        prompts = [engine.render(item.turns()) for item in items]
        check_served_model(engine, HFEngine.load(folder, identity, params.batch_tokens), prompts)
    yield engine
