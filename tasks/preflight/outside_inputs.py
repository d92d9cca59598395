"""What stages read beside the project's own files: the content of each, so that DVC sees it when it changes.

A folder with a model, an installed package, a template's file or a scorer's version is named in params.yaml and lies
elsewhere; a dependency in dvc.yaml cannot be optional. So the stage ``inputs`` always runs, hashes what params.yaml
names and writes one small file for each kind of stage, on which those stages depend. It asks no network.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.content import Contents
from evalsuite.core.errors import RatchetError, UsageError
from evalsuite.core.files import parse_json, read_json, sha256_json, write_json
from evalsuite.gate.policy import foreign_code
from evalsuite.gate.rules import Rule
from evalsuite.network.model_source import resolve_model
from evalsuite.network.outside import ContentFile, Model, Outside, Package
from evalsuite.suites.golden_set.suite import golden_outside
from evalsuite.suites.lm_eval.suite import SUITE as HARNESS
from evalsuite.suites.registry import SUITES
from tasks.config.objectives import OBJECTIVES
from tasks.config.objectives import OTHERS as OBJECTIVES_OF_OTHERS
from tasks.config.params import Params
from tasks.evaluation.suites import outside_suites
from tasks.paths import ArtifactPaths
from tasks.preflight.benchmarks import benchmarks_outside
from tasks.prepare.order import OTHERS as STEPS_OF_OTHERS
from tasks.prepare.order import chosen_steps
from tasks.prepare.standard import STEPS

READERS = ("fetch", "prepare", "plan", "train", "evaluate", "contamination", "gate")
"""Stages of dvc.yaml, each with a file of its own: a new encoder must not train anything again."""


class Input(NamedTuple):
    """One thing from outside the project."""

    key: str
    """The line of params.yaml that names it, or what it is."""
    content: Callable[[], str]
    """Hash, version or commit; raises where it is absent."""


class Looked(NamedTuple):
    """What was found."""

    files: dict[str, dict[str, str]]
    """Stage -> key -> content."""
    problems: list[str]
    """One line each."""


def look(params: Params, paths: ArtifactPaths) -> Looked:
    """Hash every input; what is absent is a problem, and its content says so."""
    contents = Contents(paths.root / ".ratchet" / "hashes.json")
    files: dict[str, dict[str, str]] = {}
    problems: list[str] = []
    for stage in READERS:
        files[stage] = {}
        for entry in _inputs(stage, params, paths.root, contents):
            try:
                files[stage][entry.key] = entry.content()
            except RatchetError as error:
                files[stage][entry.key] = f"absent: {error}"
                problems.append(str(error))
            except OSError as error:
                files[stage][entry.key] = f"absent: {error}"
                problems.append(f"{entry.key} cannot be read: {error}; put the file there, or change {entry.key}")
    contents.keep()
    return Looked(files, list(dict.fromkeys(problems)))


def run(params: Params, paths: ArtifactPaths) -> Looked:
    """Write plans/inputs/STAGE.json where it says something else than before.

    Raises:
        UsageError: An input is absent; names each, and writes nothing.
    """
    looked = look(params, paths)
    if looked.problems:
        raise UsageError("\n".join(looked.problems))
    for stage, found in looked.files.items():
        if not paths.inputs(stage).is_file() or _before(paths.inputs(stage)) != found:
            write_json(paths.inputs(stage), {"schema_version": 1, "inputs": found})
    return looked


def changed(params: Params, paths: ArtifactPaths) -> dict[str, str]:
    """Files that the stage would write anew, from the root -> which input changed; writes nothing."""
    reasons: dict[str, str] = {}
    for stage, found in look(params, paths).files.items():
        path = paths.inputs(stage)
        before = _before(path)
        keys = [key for key in {**found, **before} if found.get(key) != before.get(key)]
        if keys or not path.is_file():
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            reason = f"{keys[0]} has another content{more}" if path.is_file() else f"{path.name} was not made yet"
            reasons[path.relative_to(paths.root).as_posix()] = reason
    return reasons


def _before(path: Path) -> dict[str, str]:
    try:
        data = read_json(path, "ratchet stage inputs")
    except RatchetError:
        return {}
    found = data.get("inputs") if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _inputs(stage: str, params: Params, root: Path, contents: Contents) -> Iterator[Input]:
    """What one kind of stage reads."""

    def model(reference: str, revision: str | None = None) -> Callable[[], str]:
        return lambda: _model(reference, revision, root, contents)

    def file(path: str) -> Callable[[], str]:
        return lambda: contents.of_path(root / path)

    evaluation = params.evaluation
    objective = params.prepare.objective
    if stage in ("prepare", "plan", "train") and objective not in OBJECTIVES:
        found = partial(OBJECTIVES_OF_OTHERS.find, objective)
        yield from _extension(f"prepare.objective.{objective}", found, (), root, contents)
    if stage == "fetch":
        yield Input("model.id", model(params.model.id, params.model.revision))
        if params.model.chat_template is not None:
            yield Input("model.chat_template", file(params.model.chat_template))
    elif stage == "prepare":
        forgotten = ArtifactPaths(root).forgotten
        if forgotten.is_file():
            yield Input("data/forgotten.jsonl", partial(contents.of_path, forgotten))
        for choice in params.prepare.steps:
            step = None if choice.name in STEPS else partial(STEPS_OF_OTHERS.find, choice.name)
            yield from _extension(f"prepare.steps.{choice.name}", step, choice.settings, root, contents)
        if any(choice.name == "held_out" for choice in params.prepare.steps):
            with suppress(RatchetError):  # a suite that cannot be made is refused by the checks
                for key, said in benchmarks_outside(evaluation, root).items():
                    yield Input(key, partial(str, said))
        with suppress(RatchetError):  # a step that cannot be made is refused by the checks
            for each in chosen_steps(params.prepare):
                yield from _contents(each.step.outside(), root, contents)
    elif stage == "plan":
        if params.launch.settings is not None:
            yield Input("launch.settings", file(params.launch.settings))
    elif stage == "train":
        yield from _contents(golden_outside(evaluation.golden, "dev", root), root, contents)
    elif stage == "evaluate":
        if (harness := evaluation.section(HARNESS)) is not None and harness.tasks:
            # Without a section of params.yaml, the rules say which tasks run.
            chosen = sha256_json(harness.model_dump(mode="json"))
            yield Input("evaluation.harness", lambda: chosen)
        for name, arguments in evaluation.suites.items():
            suite = partial(SUITES.find, name)
            yield from _extension(f"evaluation.suites.{name}", suite, arguments, root, contents)
        with suppress(RatchetError):  # a suite that cannot be made is refused by the checks
            yield from _contents(outside_suites(evaluation, root), root, contents)
    elif stage == "gate":
        for kind, code in foreign_code(params.gate.rules).items():
            yield Input(f"gate.rules of kind {kind}", lambda code=code: code)  # type: ignore[misc]
        for number, rule in enumerate(params.gate.rules):
            own = rule.model_dump(mode="json", exclude=set(Rule.model_fields))
            yield from _extension(f"gate.rules.{number}", None, own, root, contents)
    elif params.contamination.embedding_model is not None:
        yield Input("contamination.embedding_model", model(params.contamination.embedding_model))


def _contents(outside: Iterable[Outside], root: Path, contents: Contents) -> Iterator[Input]:
    """What of these has a content that may change; a pinned repository and a server have none."""
    for each in outside:
        if isinstance(each, Package):
            yield Input(f"package {each.name}", partial(_package, each.name, contents))
        elif isinstance(each, Model):
            yield Input(each.key, partial(_model, each.name, each.revision, root, contents))
        elif isinstance(each, ContentFile):
            yield Input(each.key, partial(contents.of_path, root / each.path))


def _extension(
    key: str, find: Callable[[], EntryPoint] | None, arguments: Any, root: Path, contents: Contents
) -> Iterator[Input]:
    """The code of what another package registers, and the files that its arguments name."""
    if find is not None:
        yield Input(f"code of {key}", lambda: _code_of(key, find(), contents))
    for where, path in _named_files(key, arguments, root):
        yield Input(where, partial(contents.of_path, path))


def _named_files(key: str, value: Any, root: Path) -> Iterator[tuple[str, Path]]:
    """Every text in lists and mappings, as keys or values, that is the path of something: (where it is named, path)."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _named_files(f"{key}.{name}", inner, root)
            yield from _named_files(f"{key}.{name} itself", name, root)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _named_files(f"{key}.{number}", inner, root)
    elif isinstance(value, str) and value and os.path.exists(root / value):  # noqa: PTH110  a long text is no error here
        yield key, root / value


def _code_of(key: str, entry: EntryPoint, contents: Contents) -> str:
    code = _code(entry.module.partition(".")[0], contents)
    if code is None:
        raise UsageError(f"{key}: its package {entry.module} is not installed")
    return code


def _code(module: str, contents: Contents) -> str | None:
    """Hash of an installed module's or package's files; None where there is none."""
    spec = find_spec(module)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return sha256_json([contents.of_folder(Path(where)) for where in spec.submodule_search_locations])
    return contents.of_file(Path(spec.origin or ""))


def _model(reference: str, revision: str | None, root: Path, contents: Contents) -> str:
    source = resolve_model(reference, root)
    if source.folder is None:
        return f"hub commit {revision}"
    return f"sha256 {contents.of_folder(source.folder)}"


def _package(name: str, contents: Contents) -> str:
    """A distribution's version and, where it is installed in editable mode, the hash of its files."""
    try:
        found, editable = version(name), _is_editable(name)
    except PackageNotFoundError:
        raise UsageError(
            f"package {name} is not installed; run `python -m pip install {name}`, or `make install` in a clone of "
            "Ratchet"
        ) from None
    code = _code(name.replace("-", "_"), contents) if editable else None
    return found if code is None else f"{found}, editable, sha256 {code}"


def _is_editable(name: str) -> bool:
    """Whether a distribution runs from files that somebody edits (PEP 610), whose changes its version does not show."""
    installed = distribution(name)
    text = installed.read_text("direct_url.json")
    if text is None:
        return installed.read_text("RECORD") is None  # as `setup.py develop` leaves it
    try:
        said = parse_json(text)
    except ValueError:
        return False
    about = said.get("dir_info") if isinstance(said, dict) else None
    return isinstance(about, dict) and about.get("editable") is True
