"""Settings and rows against the base model, as far as it is on this machine."""

from collections.abc import Iterator
from itertools import islice

from evalsuite.core.errors import RatchetError, UsageError
from evalsuite.core.identity import read_manifest
from evalsuite.network.model_source import resolve_model
from tasks.base_model.context import check_fits, context_tokens
from tasks.base_model.template_settings import is_affected, own_template
from tasks.config.params import Params
from tasks.data.formats import Row, read_rows
from tasks.objectives.find import find_objective
from tasks.objectives.objective import RowKind
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.source_files import source_files
from tasks.prepare.lengths import TokenLengths, has_tools
from tasks.prepare.order import chosen_steps, is_private
from tasks.prepare.rows import row_rules
from tasks.prepare.sources import FIRST_ROWS


def is_exported(params: Params, paths: ArtifactPaths) -> bool:
    """Whether the base model here is the one that params.yaml names."""
    base = paths.export("base")
    if not (base / "manifest.json").is_file():
        return False
    source = params.model.id + (f"@{params.model.revision}" if params.model.revision else "")
    try:
        return read_manifest(base, "ratchet stage fetch").source == source
    except RatchetError:
        return False  # told by the stage that reads it


def context_problems(params: Params, paths: ArtifactPaths) -> Iterator[str]:
    """Settings that ask for more tokens than the model reads, where its config is already on this machine."""
    context = _known_context(params, paths)
    settings = {"train.max_length_tokens": params.train.max_length_tokens}
    if find_objective(params.prepare.objective).rows is RowKind.CONVERSATIONS:
        settings["prepare.max_length_tokens"] = params.prepare.max_length_tokens
    for key, tokens in settings.items():
        try:
            check_fits(key, tokens, context)
        except UsageError as error:
            yield str(error)


def _known_context(params: Params, paths: ArtifactPaths) -> int | None:
    """Context of the model that params.yaml names, or of its export where only that is on this machine."""
    try:
        folder = resolve_model(params.model.id).folder
    except RatchetError:
        return None  # told by the check of the model
    if folder is not None and (folder / "config.json").is_file():
        return context_tokens(folder)
    return context_tokens(paths.export("base")) if is_exported(params, paths) else None


def check_first_rows(params: Params, paths: ArtifactPaths) -> bool:
    """Put the first rows of each source through the chat template of the base model, as they will be learnt.

    Returns:
        Whether they were tried: not where the base model here is not yet the one that params.yaml describes.

    Raises:
        UsageError: The template cannot write a row as it is to be learnt, or rows may be longer than the context.
    """
    base = paths.export("base")
    objective = find_objective(params.prepare.objective)
    if objective.rows is RowKind.DOCUMENTS or not is_exported(params, paths):
        return False
    if is_affected(own_template(base), params.model):
        return False
    lengths = TokenLengths(
        base,
        params.prepare.max_length_tokens,
        params.train.answers,
        objective,
        is_private(chosen_steps(params.prepare)),
    )
    for name, path, _ in source_files(params.prepare, paths.root, fetch=False):
        found = islice(read_rows(path, name, row_rules(params.prepare)), FIRST_ROWS)
        rows = [row for row in found if isinstance(row, Row)]
        lengths.of(rows)
        tooled = [row.source for row in rows if has_tools(row)]
        if tooled and all(source in lengths.unwritable for source in tooled):
            raise UsageError(f"{tooled[0]}: {lengths.unwritable[tooled[0]]}")
    return True
