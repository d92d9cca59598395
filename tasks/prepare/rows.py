"""What the objective makes of a row: how it is read, compared, grouped, limited and written."""

from collections.abc import Iterator, Sequence
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.core.text import as_written, whole_form
from evalsuite.core.yaml_file import key_line
from tasks.config.prepare import PrepareParams
from tasks.data.decontaminate import HeldOut, Match, user_text
from tasks.data.formats import Row, RowRules
from tasks.objectives.find import find_objective
from tasks.objectives.objective import Objective, RowKind
from tasks.paths import ArtifactPaths

MAX_CHAT_BYTES = 1_000_000
"""Limit of a conversation's line where ``prepare.max_line_bytes`` is absent; documents have none."""


def row_rules(params: PrepareParams) -> RowRules:
    """How rows are read."""
    objective = find_objective(params.objective)
    documents = objective.rows is RowKind.DOCUMENTS
    limit = params.max_line_bytes or (None if documents else MAX_CHAT_BYTES)
    quiet = any(step.name == "personal_data" for step in params.steps)
    return RowRules(documents, frozenset(params.ignore_keys), params.group_by, limit, objective.fields, quiet)


def content(row: Row, objective: Objective) -> dict[str, Any]:
    """What is learnt of a row, as train.jsonl has it."""
    own = {key: row.fields[key] for key in objective.fields if key in row.fields}
    return own | ({"messages": list(row.messages)} if row.text is None else {"text": row.text})


def as_compared(row: Row) -> tuple[str, ...]:
    """Equal for rows whose turns or text are equal but for white space and Unicode's form."""
    if row.text is not None:
        return (as_written(row.text),)
    return tuple(f"{turn['role']}{turn.get('weight', 1)}:{as_written(turn['content'])}" for turn in row.messages)


def held_out_match(row: Row, held_out: HeldOut, objective: Objective) -> Match | None:
    """The golden or test item that a row repeats, in its objective's fields too, or None."""
    found = held_out.find_row(row.messages) if row.text is None else held_out.find(row.text)
    texts = (text for name in objective.fields for text in _texts(row.fields.get(name)))
    return found or next((match for text in texts if (match := held_out.find(text))), None)


def _texts(value: Any) -> Iterator[str]:
    """Every text in lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def asked_text(row: Row) -> str:
    """What the user says, or the whole document."""
    return user_text(row.messages) if row.text is None else row.text


def group_of(row: Row, group_by: str | None, paths: ArtifactPaths) -> str:
    """What keeps a row beside others on one side: its ``group_by`` field, or what its user says.

    Raises:
        UsageError: The row has no such field.
    """
    if group_by is None:
        return whole_form(asked_text(row))
    if group_by not in row.fields:
        line = key_line(paths.params, "prepare", "group_by")
        where = f" (line {line} of {paths.params.name})" if line else ""
        raise UsageError(
            f"{row.source}: no field {group_by!r}, which prepare.group_by names; fields: {sorted(row.fields)}; take "
            f"`group_by` out of `prepare`{where} if your rows have no groups, or name one of these fields there"
        )
    return str(row.fields[group_by])


def is_too_long(row: Row, lengths: Sequence[int], limit: int) -> bool:
    """Whether a sequence of a conversation has more tokens than ``limit``; training cuts documents into pieces."""
    return row.text is None and max(lengths) > limit


def learnt_counts(objective: Objective, rows: Sequence[Row]) -> dict[str, Any]:
    """What the report says of the objective: the answers that are learnt, and those that are context."""
    name = {} if objective.name == "sft" else {"objective": objective.name}
    if objective.rows is RowKind.DOCUMENTS:
        return name
    turns = [turn for row in rows for turn in row.messages if turn["role"] == "assistant"]
    context = sum(turn.get("weight") == 0 for turn in turns)
    return name | {"answers": {"learnt": len(turns) - context, "context": context}}
