"""One suite on any model: a folder, an installed package, a hub id, or a model of the pipeline."""

from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import check_target, sha256_json
from evalsuite.core.identity import MANIFEST_NAME, hash_files, identity_of, read_manifest, verify_manifest
from evalsuite.engines.cache.cached import with_use
from evalsuite.engines.sharded import Shard, ShardEngine
from evalsuite.items.results import SuiteResult
from evalsuite.network.model_source import resolve_model
from evalsuite.suites.base import Suite
from evalsuite.suites.entry import SuiteContext
from evalsuite.suites.lm_eval.metrics import has_folder
from evalsuite.suites.lm_eval.settings import HarnessParams
from evalsuite.suites.lm_eval.suite import SUITE as HARNESS
from evalsuite.suites.lm_eval.suite import task_suite
from evalsuite.suites.registry import SUITES, built_in
from tasks.base_model.export import export_model
from tasks.base_model.template_settings import is_affected, own_template
from tasks.config.model import ModelParams
from tasks.config.params import Params
from tasks.evaluation.engines import opened_engine
from tasks.evaluation.model import weights_of
from tasks.evaluation.suites import suite_makers
from tasks.paths import ArtifactPaths


class ModelFolder(NamedTuple):
    """Bytes that can be loaded."""

    folder: Path
    identity: str


def evaluate(
    model: str,
    suite_name: str,
    params: Params,
    paths: ArtifactPaths,
    limit: int | None = None,
    output: Path | None = None,
    adapter: Path | None = None,
    shard: Shard | None = None,
) -> tuple[SuiteResult, Path] | None:
    """Run one suite and write its items and summary.

    Args:
        model: ``base``, ``champion`` or a method; a folder; ``package:NAME``; a hub id as OWNER/NAME@REVISION.
        suite_name: A suite of params.yaml, or any lm-eval task or group.
        params: The suites' settings.
        paths: The project.
        limit: The first N items (of each lm-eval subtask); HarmBench, XSTest and BBQ (each category) spread them.
        output: Folder for the result; under .ratchet/evaluations when absent.
        adapter: A peft adapter that is put on the model without merging.
        shard: Only fill the cache with this shard's answers; nothing is scored.

    Returns:
        The result and its folder; None for a shard.

    Raises:
        UsageError: No such model or suite, or a shard without a cache.
        MissingArtifactError: A model of the pipeline was not made yet.
    """
    if shard is not None and not params.evaluation.cache:
        raise UsageError("a shard keeps its answers in the cache; set evaluation.cache to true")
    if output is not None:
        check_target(output / "summary.json")
    suite = suite_named(suite_name, params, limit, paths.eval_cache if params.evaluation.cache else None)
    bytes_of = find_model(model, params, paths)
    with opened_engine(model, bytes_of.folder, bytes_of.identity, params.evaluation, paths, adapter) as engine:
        if shard is not None:
            suite.run(ShardEngine(engine, shard))
            return None
        result = with_use(suite.run(engine), engine.take_use())
    folder = output or paths.root / ".ratchet" / "evaluations" / engine.model_identity[:12] / suite.name
    result.write(folder)
    return result, folder


def suite_named(name: str, params: Params, limit: int | None, kept: Path | None = None) -> Suite:
    """A suite of params.yaml with its settings there, else the lm-eval task of that name.

    Args:
        name: Of the suite or task.
        params: The suites' settings.
        limit: Most items; all when None.
        kept: Folder where embeddings of references stay for the next process.

    Raises:
        UsageError: A suite's files are malformed, or it takes no limit.
    """
    makers = suite_makers(params.evaluation, kept, limit)
    if name in makers:
        return makers[name]()
    entry = built_in().get(name)
    if entry is not None and params.evaluation.section(entry) is None and not has_folder(name):
        raise UsageError(
            f"suite {name!r} is off: params.yaml has no evaluation.{name}; examples/suites/params.yaml shows it. "
            f"Suites there: {', '.join(makers)}"
        )
    if name in SUITES.registered():
        raise UsageError(
            f"suite {name!r} is installed, and off: params.yaml has no evaluation.suites.{name}; add it with its "
            f"settings (`ratchet help own_suite`). Suites there: {', '.join(makers)}"
        )
    harness = params.evaluation.section(HARNESS) or HarnessParams()
    return task_suite(harness, SuiteContext(name, params.evaluation.golden, limit, kept))


def find_model(reference: str, params: Params, paths: ArtifactPaths) -> ModelFolder:
    """The bytes that a reference means; a package, a hub id or a GGUF file is exported once and kept.

    A folder without a manifest of ours is taken as it is, unless its chat template reads what params.yaml fixes: then
    it is exported too, with the settings in its template.

    Raises:
        UsageError: There is no such model, or its bytes are not those of its manifest.
        MissingArtifactError: A model of the pipeline was not made yet.
    """
    if reference in ("base", "champion", *params.methods):
        folder = weights_of(reference, paths)
        if folder is None:
            raise MissingArtifactError("there is no champion yet; make one with `ratchet run`")
        stage = "fetch" if reference == "base" else f"train@{reference}"
        return ModelFolder(folder, verify_manifest(folder, f"ratchet stage {stage}").identity)
    name, _, revision = reference.partition("@")
    source = resolve_model(name)
    if source.hub_id is not None and not revision:
        raise UsageError(f"model {reference!r} is a hub id: name a commit as {name}@REVISION, so that it never changes")
    if source.folder is not None and source.gguf is None:
        if (source.folder / MANIFEST_NAME).is_file():
            return ModelFolder(source.folder, verify_manifest(source.folder, f"ratchet evaluate {reference}").identity)
        if not is_affected(own_template(source.folder), params.model):
            return ModelFolder(source.folder, identity_of(hash_files(source.folder)))
    state = (
        [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(source.folder.iterdir())]
        if source.folder
        else []
    )
    # Asked as this project's own models are: a date or a switch of the template that is fixed here is fixed there too.
    settings = params.model.model_dump(mode="json", include={"chat_template_kwargs", "chat_template_date"})
    fixed = [settings] if any(settings.values()) else []
    target = paths.root / ".ratchet" / "models" / sha256_json([reference, state, *fixed])[:16]
    if not (target / MANIFEST_NAME).is_file():
        export_model(ModelParams(id=name, revision=revision or None, **settings), target, needs_chat_template=False)
    return ModelFolder(target, read_manifest(target, f"ratchet evaluate {reference}").identity)
