"""What the objective makes of a row: how it is read, compared, grouped, limited and written."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.core.text import as_written, whole_form
from evalsuite.core.yaml_file import key_line
from tasks.config.prepare import PrepareParams
from tasks.data.decontaminate import HeldOut, Match, said_by, user_text
from tasks.data.formats import Row, RowRules
from tasks.data.keys import kind_of
from tasks.data.quiet import quiet_keys
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
    fields = (*objective.fields, *params.split.keys)
    quiet = any(step.name == "personal_data" for step in params.steps)
    return RowRules(documents, frozenset(params.ignore_keys), params.group_by, limit, fields, quiet)


def content(row: Row, objective: Objective) -> dict[str, Any]:
    """What is learnt of a row, as train.jsonl has it."""
    own = {key: row.fields[key] for key in objective.fields if key in row.fields}
    if row.text is not None:
        return own | {"text": row.text}
    return own | {"messages": list(row.messages)} | ({"tools": list(row.tools)} if row.tools else {})


def as_compared(row: Row) -> tuple[str, ...]:
    """Equal for rows whose turns or text are equal but for white space and Unicode's form."""
    if row.text is not None:
        return (as_written(row.text),)
    turns = (f"{turn['role']}{turn.get('weight', 1)}:{as_written(turn['content'])}" for turn in row.messages)
    calls = [call["function"] for turn in row.messages for call in turn.get("tool_calls", ())]
    return (*turns, json.dumps([calls, row.tools], sort_keys=True)) if calls or row.tools else tuple(turns)


def held_out_match(row: Row, held_out: HeldOut, objective: Objective) -> Match | None:
    """The golden or test item that a row repeats, in its objective's fields too, or None."""
    found = held_out.find_row(row.messages) if row.text is None else held_out.find(row.text)
    return found or next((match for text in own_texts(row, objective) if (match := held_out.find(text))), None)


def held_out_matches(rows: Sequence[Row], held_out: HeldOut, objective: Objective) -> list[Match | None]:
    """The same of many rows, most of which repeat nothing, in a fraction of the time."""
    asked = [{asked_text(row), *looked_up_texts(row, objective), *said_by("system", row.messages)} for row in rows]
    answers = [set(said_by("assistant", row.messages)) for row in rows]
    found, quoting = _told(held_out.may_find, asked), _told(held_out.may_quote, answers)
    return [
        None if found.isdisjoint(own) and quoting.isdisjoint(said) else held_out_match(row, held_out, objective)
        for row, own, said in zip(rows, asked, answers, strict=True)
    ]


def _told(may: Callable[[Sequence[str]], list[bool]], of_rows: Sequence[set[str]]) -> set[str]:
    """The texts of which ``may`` is true, each asked for once."""
    different = list(set().union(*of_rows))
    return {text for text, told in zip(different, may(different), strict=True) if told}


def looked_up_texts(row: Row, objective: Objective) -> Iterator[str]:
    """What may ask an item: each of the user's turns, or the document, and the objective's fields."""
    yield from said_by("user", row.messages) if row.text is None else (row.text,)
    yield from own_texts(row, objective)


def own_texts(row: Row, objective: Objective) -> Iterator[str]:
    """What the objective learns from beside the turns."""
    return (text for name in objective.fields for text in texts_in(row.fields.get(name)))


def texts_in(value: Any) -> Iterator[str]:
    """Every text in lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts_in(each)


def asked_text(row: Row) -> str:
    """What the user says, or the whole document."""
    return user_text(row.messages) if row.text is None else row.text


def group_of(row: Row, group_by: str | None, paths: ArtifactPaths, quiet: bool = False) -> str:
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
            f"{row.source}: no field {group_by!r}, which prepare.group_by names; fields: {_fields_of(row, quiet)}; "
            f"take `group_by` out of `prepare`{where} if your rows have no groups, or name one of these fields there"
        )
    return str(row.fields[group_by])


def stratum_of(row: Row, key: str, quiet: bool = False) -> str:
    """The value of ``prepare.split.stratify_by``.

    Raises:
        UsageError: The row has no such field.
    """
    if key not in row.fields:
        raise UsageError(
            f"{row.source}: no field {key!r}, which prepare.split.stratify_by names; fields: {_fields_of(row, quiet)}; "
            "name one of these, or take stratify_by out"
        )
    return str(row.fields[key])


def _fields_of(row: Row, quiet: bool) -> list[str]:
    """Its keys, as an error says them: without those that look like values where rows may hold personal data."""
    return list(quiet_keys(sorted(row.fields))) if quiet else sorted(row.fields)


def time_of(row: Row, key: str, quiet: bool = False) -> datetime:
    """The value of ``prepare.split.field``: ISO 8601, or seconds since 1970; UTC where it names no time zone.

    Raises:
        UsageError: The row has no such field, or it holds no time.
    """
    value = row.fields.get(key)
    with suppress(ValueError, OverflowError, OSError):
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    shown = kind_of(value) if quiet else repr(str(value)[:40])
    said = f"its field {key!r} is {shown}" if key in row.fields else f"no field {key!r}"
    raise UsageError(
        f"{row.source}: {said}, which prepare.split.field names; expected a date or time as ISO 8601 (2026-05-31, "
        "2026-05-31T12:00:00+02:00) or seconds since 1970: correct the row, or name another field"
    )


def check_split_fields(row: Row, params: PrepareParams, paths: ArtifactPaths) -> None:
    """Refuse a row without what the split reads.

    Raises:
        UsageError: Names the row, the field and the setting.
    """
    quiet = row_rules(params).quiet
    group_of(row, params.group_by, paths, quiet)
    if params.split.stratify_by is not None:
        stratum_of(row, params.split.stratify_by, quiet)
    if params.split.field is not None:
        time_of(row, params.split.field, quiet)
