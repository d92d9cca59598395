"""Training rows, checked, without duplicates or held-out items, split by group."""

import json
import logging
import os
import random
import shlex
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from evalsuite.core.errors import MissingArtifactError, StageError, UsageError
from evalsuite.core.files import sha256_file, write_json, write_jsonl
from evalsuite.core.text import as_written, whole_form
from evalsuite.core.yaml_file import key_line
from tasks.base_model.context import check_fits, context_tokens
from tasks.config.prepare import Objective, PrepareParams
from tasks.config.section import StageSections
from tasks.config.train import Answers, TrainParams
from tasks.data.decontaminate import HeldOut, user_text
from tasks.data.formats import BadRow, Row, RowRules, read_rows
from tasks.data.keys import ignore_advice, shown
from tasks.data.split import dev_groups
from tasks.paths import ArtifactPaths
from tasks.training.rows.conversation import end_tokens
from tasks.training.rows.documents import document_ids
from tasks.training.rows.examples import tokenize_all

logger = logging.getLogger(__name__)

RAW = Path("data/raw")
MAX_CHAT_BYTES = 1_000_000
"""Limit of a conversation's line where ``prepare.max_line_bytes`` is absent; documents have none."""
MAX_LISTED = 100
FIRST_ROWS = 20
HISTOGRAM_TOKENS = (32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192)


def run(params: PrepareParams, paths: ArtifactPaths, answers: Answers = Answers.ALL) -> dict[str, Any]:
    """Write data/prepared/{train,dev}.jsonl and, last, report.json; the old folder stands until the new one is whole.

    Args:
        params: What to read, and what to leave out.
        paths: The project.
        answers: Which answers of a conversation training will learn (``train.answers``).

    Raises:
        UsageError: A source is absent, empty or outside data/raw, too many rows are bad, nothing is left to split, or
            the chat template cannot write a row as it is to be learnt.
    """
    check_sources(params, paths)
    _say_links(params.sources, paths.root)
    rows, bad = _read(params, paths.root)
    dropped: defaultdict[str, list[str]] = defaultdict(list)
    kept = _without_duplicates(rows, dropped)
    kept = _without_held_out(kept, HeldOut(paths.root / "golden_sets"), dropped)
    num_clean = len(kept)
    if params.max_rows is not None and len(kept) > params.max_rows:
        chosen = random.Random(params.seed).sample(range(len(kept)), params.max_rows)  # noqa: S311  a sample, no secret
        kept = [kept[index] for index in sorted(chosen)]
    lengths = token_lengths(kept, paths.export("base"), params.max_length_tokens, answers)
    pairs = []
    for row, length in zip(kept, lengths, strict=True):
        if not length:
            dropped["no answer to learn"].append(row.source)
        elif row.text is None and max(length) > params.max_length_tokens:
            dropped[f"longer than {params.max_length_tokens} tokens"].append(row.source)
        else:
            pairs.append((row, length))
    groups = [_group(row, params.group_by, paths) for row, _ in pairs]
    try:
        held = dev_groups(groups, params.dev_fraction, params.seed)
    except ValueError as error:
        raise UsageError(
            f"nothing to split after cleaning: {error}; give {', '.join(params.sources)} more rows"
        ) from None
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "dev": []}
    sequences: dict[str, list[int]] = {"train": [], "dev": []}
    for (row, length), group in zip(pairs, groups, strict=True):
        content: dict[str, Any] = {"messages": list(row.messages)} if row.text is None else {"text": row.text}
        split = "dev" if group in held else "train"
        splits[split].append({"id": row.row_id, **content, "num_tokens": max(length)})
        sequences[split] += length
    report = {
        "schema_version": 1,
        "sources": {name: sha256_file(paths.root / name) for name in params.sources},
        "rows_read": len(rows) + len(bad),
        "formats": dict(sorted(Counter(row.format for row in rows).items())),
        "bad_rows": {"count": len(bad), "first": [f"{row.source}: {row.reason}" for row in bad[:MAX_LISTED]]},
        "dropped": {
            reason: {"count": len(sources), "first": sources[:MAX_LISTED]}
            for reason, sources in sorted(dropped.items())
        },
        "max_rows": {"limit": params.max_rows, "clean_rows": num_clean, "left_out": num_clean - len(kept)},
        "groups": {"train": len(set(groups) - held), "dev": len(held)},
        "splits": {name: _describe(len(entries), sequences[name]) for name, entries in splits.items()},
    }
    if params.objective is Objective.TEXT:
        report["objective"] = "text"
    else:
        turns = [turn for row, _ in pairs for turn in row.messages if turn["role"] == "assistant"]
        context = sum(turn.get("weight") == 0 for turn in turns)
        report["answers"] = {"learnt": len(turns) - context, "context": context}
    unknown = Counter(key for row in bad for key in row.unknown)
    report["unknown_keys"] = dict(unknown.most_common(MAX_LISTED))
    _replace(paths.prepared, splits, report)
    return report


def check_sources(params: PrepareParams, paths: ArtifactPaths) -> None:
    """Refuse sources that cannot be trained on, by their first rows alone, so that it takes no time.

    Raises:
        UsageError: A source is absent, a folder, empty or outside data/raw, none of its first rows can be read, or it
            lacks ``group_by``.
    """
    for name in params.sources:
        path = paths.root / name
        _check_place(name, paths.root)
        first = list(islice(read_rows(path, name, row_rules(params)), FIRST_ROWS))
        if not first:
            raise UsageError(
                f"prepare.sources: {name} is empty; expected one JSON object a line: put rows there, or take the file "
                "out of prepare.sources"
            )
        good = [entry for entry in first if isinstance(entry, Row)]
        if not good and isinstance(first[0], BadRow):
            raise UsageError(
                f"prepare.sources: none of the first {len(first)} rows of {name} can be read; {first[0].source}: "
                f"{first[0].reason}; {_remedy(first, params) or 'fix the file'}, then `ratchet stage prepare`"
            )
        for row in good:
            _group(row, params.group_by, paths)


def _check_place(name: str, root: Path) -> None:
    """Refuse a source that is no file, or one whose change DVC would not see.

    DVC reads through links to files in a watched folder, and passes over links to folders.
    """
    path, raw = root / name, Path(os.path.realpath(root / RAW))
    folder = path if path.is_dir() else path.parent
    if not Path(os.path.realpath(folder)).is_relative_to(raw):
        below = (each for each in (*reversed(folder.parents), folder) if root / RAW in each.parents)
        link = next((each for each in below if each.is_symlink()), None)
        if link is None:
            raise UsageError(f"prepare.sources: {name} lies outside {RAW}, the folder that DVC watches; move it there")
        linked, target = shlex.quote(str(link.relative_to(root))), os.path.realpath(link)
        raise UsageError(
            f"prepare.sources: {name}: {linked} is a link to {target}, and DVC passes over links to folders, so that "
            f"changed rows would go unnoticed; copy it: `rm {linked} && cp -r {shlex.quote(target)} {linked}`"
        )
    if not path.is_file():
        what = f"{name} is a folder, expected a file of rows" if path.is_dir() else f"no file {name}"
        if path.is_symlink():
            what = f"{name} is a link to {path.readlink()}, where no file is"
        raise UsageError(f"prepare.sources: {what}; put the rows there, or change prepare.sources")


def _say_links(names: Iterable[str], root: Path) -> None:
    for name in names:
        if (root / name).is_symlink():
            logger.warning(
                "%s is a link to %s: DVC notices when the rows change, but git keeps the link alone, and another "
                "machine needs the same file there; to keep the rows: `cp --remove-destination %s %s`",
                name,
                os.path.realpath(root / name),
                shlex.quote(os.path.realpath(root / name)),
                shlex.quote(name),
            )


def row_rules(params: PrepareParams) -> RowRules:
    """How rows are read."""
    documents = params.objective is Objective.TEXT
    limit = params.max_line_bytes or (None if documents else MAX_CHAT_BYTES)
    return RowRules(documents, frozenset(params.ignore_keys), params.group_by, limit)


def _remedy(entries: Iterable[Row | BadRow], params: PrepareParams) -> str:
    """The line of params.yaml with which rows with unknown keys are read; empty where there are none."""
    unknown = {key for entry in entries if isinstance(entry, BadRow) for key in entry.unknown}
    return ignore_advice(unknown, params.ignore_keys) if unknown else ""


def _read(params: PrepareParams, root: Path) -> tuple[list[Row], list[BadRow]]:
    rows: list[Row] = []
    bad: list[BadRow] = []
    for name in params.sources:
        for entry in read_rows(root / name, name, row_rules(params)):
            if isinstance(entry, Row):
                rows.append(entry)
            else:
                bad.append(entry)
    total = len(rows) + len(bad)
    if len(bad) > params.max_bad_fraction * total:
        listed = "\n".join(f"  {row.source}: {row.reason}" for row in bad[:5])
        remedy = _remedy(bad, params)
        raise UsageError(
            f"{len(bad)} of {total} rows are bad, prepare.max_bad_fraction allows {params.max_bad_fraction}; fix them "
            f"or raise it. The first:\n{listed}" + (f"\nUnknown keys of all rows: {remedy}" if remedy else "")
        )
    return rows, bad


def _without_duplicates(rows: Sequence[Row], dropped: dict[str, list[str]]) -> list[Row]:
    """The first of rows whose turns or text are equal but for white space and Unicode's form."""
    seen: set[tuple[str, ...]] = set()
    kept = []
    for row in rows:
        turns = tuple(f"{turn['role']}{turn.get('weight', 1)}:{as_written(turn['content'])}" for turn in row.messages)
        key = turns if row.text is None else (as_written(row.text),)
        if key in seen:
            dropped["duplicate"].append(row.source)
        else:
            seen.add(key)
            kept.append(row)
    return kept


def _without_held_out(rows: Sequence[Row], held_out: HeldOut, dropped: dict[str, list[str]]) -> list[Row]:
    kept = []
    for row in rows:
        match = held_out.find_row(row.messages) if row.text is None else held_out.find(row.text)
        if match is None:
            kept.append(row)
        else:
            dropped["appears in a golden or test set"].append(f"{row.source} ({match.how} as {match.item})")
    return kept


def _asked_text(row: Row) -> str:
    """What the user says, or the whole document."""
    return user_text(row.messages) if row.text is None else row.text


def token_lengths(rows: Sequence[Row], base: Path, limit: int, answers: Answers) -> list[list[int]]:
    """Tokens of each sequence that training makes of a row: one, or of some conversations one an answer.

    Raises:
        UsageError: The chat template cannot write a row as it is to be learnt, or ``limit`` is beyond the model's
            context.
    """
    if not (base / "manifest.json").is_file():
        raise MissingArtifactError(f"no base model at {base}; make it with `ratchet stage fetch`")
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    documents = [row.text for row in rows if row.text is not None]
    if documents:
        return [[len(document_ids(text, tokenizer))] for text in documents]
    check_fits("prepare.max_length_tokens", limit, context_tokens(base))
    lines = [json.dumps({"id": row.source, "messages": row.messages}) for row in rows]
    found: dict[str, list[int]] = {row.source: [] for row in rows}
    for sequence in tokenize_all(lines, tokenizer, end_tokens(base, tokenizer), answers):
        found[sequence.name].append(len(sequence.input_ids))
    return [found[row.source] for row in rows]


def _group(row: Row, group_by: str | None, paths: ArtifactPaths) -> str:
    if group_by is None:
        return whole_form(_asked_text(row))
    if group_by not in row.fields:
        line = key_line(paths.params, "prepare", "group_by")
        where = f" (line {line} of {paths.params.name})" if line else ""
        raise UsageError(
            f"{row.source}: no field {group_by!r}, which prepare.group_by names; fields: {sorted(row.fields)}; take "
            f"`group_by` out of `prepare`{where} if your rows have no groups, or name one of these fields there"
        )
    return str(row.fields[group_by])


def _describe(num_rows: int, lengths: Sequence[int]) -> dict[str, Any]:
    """Counts and a histogram of sequences in tokens; bins end at HISTOGRAM_TOKENS, the last is open."""
    counts = Counter(next((edge for edge in HISTOGRAM_TOKENS if length <= edge), "more") for length in lengths)
    return {
        "rows": num_rows,
        **({"sequences": len(lengths)} if len(lengths) != num_rows else {}),
        "tokens": sum(lengths),
        "longest": max(lengths, default=0),
        "histogram_up_to_tokens": {str(edge): counts[edge] for edge in (*HISTOGRAM_TOKENS, "more") if counts[edge]},
    }


def _replace(target: Path, splits: dict[str, list[dict[str, Any]]], report: dict[str, Any]) -> None:
    for name, entries in splits.items():
        if not entries:
            raise StageError(f"no rows are left for {name}; lower prepare.dev_fraction or give more rows")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".prepared-") as temporary:
        folder = Path(temporary) / "prepared"
        for name, entries in splits.items():
            write_jsonl(folder / f"{name}.jsonl", entries)
        write_json(folder / "report.json", report)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)


class Sections(StageSections):
    """What the stage reads of params.yaml."""

    prepare: PrepareParams
    train: TrainParams = TrainParams()


def stage(params: Sections, paths: ArtifactPaths) -> str:
    """Do the work; returns its summary."""
    return summary(run(params.prepare, paths, params.train.answers))


def summary(report: Mapping[str, Any]) -> str:
    """The report in one line."""
    splits = report["splits"]
    dropped = sum(entry["count"] for entry in report["dropped"].values())
    cut = report["max_rows"]
    limited = (
        f", {cut['left_out']} of the {cut['clean_rows']} others left out by prepare.max_rows = {cut['limit']}"
        if cut["left_out"]
        else ""
    )
    keys = report["unknown_keys"]
    unknown = f" ({sum(keys.values())} times an unknown key: {', '.join(map(shown, keys))})" if keys else ""
    marked = report.get("answers", {}).get("context", 0)
    context = f"; {marked} answers are context and not learnt" if marked else ""
    bad = f"{report['bad_rows']['count']} bad{unknown}"
    return (
        f"{report['rows_read']} rows read, {bad}, {dropped} dropped{limited}; train {splits['train']['rows']} rows "
        f"({splits['train']['tokens']:,} tokens), dev {splits['dev']['rows']} rows{context}"
    )
