"""Prepared rows as token ids, with a loss on those that the objective learns."""

import json
import logging
import multiprocessing
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.imports import sources_of
from tasks.config.train import Answers, LongRows
from tasks.objectives.documents import IGNORED, Example
from tasks.objectives.find import sources
from tasks.objectives.objective import Objective
from tasks.objectives.sft import Sft
from tasks.objectives.token_cache import TokenRow, cache_file, load_tokens, save_tokens

logger = logging.getLogger(__name__)

ROWS_OF_A_PROCESS = 10_000
"""Fewer are tokenised before another process has started."""


def read_examples(
    path: Path,
    tokenizer: Any,
    max_length_tokens: int,
    long_rows: LongRows = LongRows.STOP,
    end_ids: Collection[int] | None = None,
    cache: Path | None = None,
    answers: Answers = Answers.ALL,
    objective: Objective = Sft(),  # noqa: B008  immutable
) -> list[Example]:
    """Tokenise data/prepared/{train,dev}.jsonl, in several processes where there are many rows.

    Args:
        path: The rows.
        tokenizer: With its chat template, which documents do not need.
        max_length_tokens: Of a row; documents are cut into so many tokens.
        long_rows: What becomes of longer conversations.
        end_ids: Tokens at which generation stops; the tokenizer's own when absent.
        cache: Folder where tokens are kept and found again; none when absent.
        answers: Which answers of a conversation are learnt.
        objective: What is learnt.

    Raises:
        MissingArtifactError: The file is absent.
        UsageError: It is empty, or a row cannot be trained on; the row's id is named.
    """
    if not path.is_file():
        raise MissingArtifactError(f"no prepared rows at {path}; make them with `ratchet stage prepare`")
    code = (*sources_of(__name__), *sources(objective))
    kept = None if cache is None else cache_file(cache, path, tokenizer, end_ids, answers, code)
    rows = None if kept is None else load_tokens(kept)
    if rows is None:
        rows = tokenize_all(list(_lines(path)), tokenizer, end_ids, answers, objective)
        if kept is not None:
            save_tokens(kept, rows)
    named = [(row.name, example) for row in rows for example in objective.examples(row, max_length_tokens)]
    for line in objective.told(rows, [example for _, example in named], answers):
        logger.info("%s: %s", path, line)
    examples = _fit(path, named, max_length_tokens, long_rows)
    if not examples:
        raise UsageError(f"{path} has no rows; give data/raw more rows and run `ratchet stage prepare`")
    return examples


def tokenize_all(
    lines: list[str], tokenizer: Any, end_ids: Collection[int] | None, answers: Answers, objective: Objective
) -> list[TokenRow]:
    """Rows as JSON, in this process, or in one a core where that is worth their start; see ``read_examples``."""
    workers = min(len(os.sched_getaffinity(0)), len(lines) // ROWS_OF_A_PROCESS)
    if workers < 2:
        return _tokenize_lines(lines, tokenizer, end_ids, answers, objective)
    size = -(-len(lines) // (2 * workers))
    chunks = [lines[begin : begin + size] for begin in range(0, len(lines), size)]
    work = partial(_tokenize_lines, tokenizer=tokenizer, end_ids=end_ids, answers=answers, objective=objective)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return [row for rows in pool.map(work, chunks) for row in rows]


def _tokenize_lines(
    lines: Sequence[str], tokenizer: Any, end_ids: Collection[int] | None, answers: Answers, objective: Objective
) -> list[TokenRow]:
    return objective.tokenize([json.loads(line) for line in lines], tokenizer, end_ids, answers)


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as stream:
        yield from (line for line in stream if line.strip())


def _fit(path: Path, named: Sequence[tuple[str, Example]], limit: int, long_rows: LongRows) -> list[Example]:
    """The rows within the limit; longer ones are counted, and refused, dropped or cut."""
    longest, example = max(named, key=lambda entry: len(entry[1].input_ids), default=("", Example([], [])))
    count = sum(len(entry.input_ids) > limit for _, entry in named)
    if not count:
        return [entry for _, entry in named]
    what = f"{count} of {len(named)} rows of {path} have more than train.max_length_tokens = {limit} tokens (row "
    what += f"{longest!r} has {len(example.input_ids)})"
    if long_rows is LongRows.STOP:
        raise UsageError(
            f"{what}; raise it, lower prepare.max_length_tokens so that such rows are dropped, or set train.long_rows "
            "to drop or truncate"
        )
    if long_rows is LongRows.DROP:
        logger.warning("%s: dropped", what)
        return [entry for _, entry in named if len(entry.input_ids) <= limit]
    cut = [(name, Example(entry.input_ids[:limit], entry.labels[:limit])) for name, entry in named]
    silent = [name for name, entry in cut if all(label == IGNORED for label in entry.labels)]
    first = f" (the first is {silent[0]!r})" if silent else ""
    logger.warning("%s: cut; %d of them had no answer left and are dropped%s", what, len(silent), first)
    return [entry for _, entry in cut if any(label != IGNORED for label in entry.labels)]
