"""Prepared rows as token ids with a loss on the assistant's tokens only, or on all of a document's."""

import json
import logging
import multiprocessing
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.imports import sources_of
from tasks.config.train import Answers, LongRows
from tasks.training.rows.conversation import Labelled, Labeller
from tasks.training.rows.conversation import tokenize as tokenize
from tasks.training.rows.documents import IGNORED as IGNORED
from tasks.training.rows.documents import Example as Example
from tasks.training.rows.documents import document_ids, pieces
from tasks.training.rows.token_cache import TokenRow, cache_file, load_tokens, save_tokens

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

    Raises:
        MissingArtifactError: The file is absent.
        UsageError: It is empty, or a row cannot be trained on; the row's id is named.
    """
    if not path.is_file():
        raise MissingArtifactError(f"no prepared rows at {path}; make them with `ratchet stage prepare`")
    named: list[tuple[str, Example]] = []
    documents = 0
    for row in _tokenized(path, tokenizer, end_ids, cache, answers):
        if row.spans is None:
            documents += 1
            named += [(row.name, piece) for piece in pieces(row.input_ids, max_length_tokens)]
        else:
            named.append((row.name, Labelled(row.input_ids, row.spans).example()))
    if documents:
        tokens = sum(label != IGNORED for _, example in named for label in example.labels)
        logger.info("%s: %d documents in %d rows, %d tokens learnt", path, documents, len(named), tokens)
    examples = _fit(path, named, max_length_tokens, long_rows)
    if not examples:
        raise UsageError(f"{path} has no rows; give data/raw more rows and run `ratchet stage prepare`")
    return examples


def _tokenized(
    path: Path, tokenizer: Any, end_ids: Collection[int] | None, cache: Path | None, answers: Answers
) -> list[TokenRow]:
    """All rows, whole; of a conversation, what is trained on of it."""
    kept = None if cache is None else cache_file(cache, path, tokenizer, end_ids, answers, sources_of(__name__))
    found = None if kept is None else load_tokens(kept)
    if found is None:
        found = tokenize_all(list(_lines(path)), tokenizer, end_ids, answers)
        if kept is not None:
            save_tokens(kept, found)
    _tell_answers(path, found, answers)
    return found


def tokenize_all(
    lines: list[str], tokenizer: Any, end_ids: Collection[int] | None, answers: Answers = Answers.ALL
) -> list[TokenRow]:
    """Rows as JSON, in this process, or in one a core where that is worth their start; see ``read_examples``."""
    workers = min(len(os.sched_getaffinity(0)), len(lines) // ROWS_OF_A_PROCESS)
    if workers < 2:
        return _tokenize_lines(lines, tokenizer, end_ids, answers)
    size = -(-len(lines) // (2 * workers))
    chunks = [lines[begin : begin + size] for begin in range(0, len(lines), size)]
    work = partial(_tokenize_lines, tokenizer=tokenizer, end_ids=end_ids, answers=answers)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return [row for rows in pool.map(work, chunks) for row in rows]


def _tokenize_lines(
    lines: Sequence[str], tokenizer: Any, end_ids: Collection[int] | None, answers: Answers
) -> list[TokenRow]:
    rows = []
    labeller = Labeller(tokenizer, end_ids, answers)
    for row in map(json.loads, lines):
        if "text" in row:
            rows.append(TokenRow(row["id"], document_ids(row["text"], tokenizer), None))
        else:
            rows += [TokenRow(row["id"], *found) for found in labeller.label(row["id"], row["messages"])]
    return rows


def _tell_answers(path: Path, rows: Sequence[TokenRow], answers: Answers) -> None:
    """Log how many answers are learnt, and where conversations became several sequences."""
    spans = [row.spans for row in rows if row.spans is not None]
    if not spans:
        return
    which = "every answer whose weight is not 0" if answers is Answers.ALL else "the last answer of each row"
    logger.info("%s: %d answers learnt (train.answers = %s: %s)", path, sum(map(len, spans)), answers, which)
    several = [count for count in Counter(row.name for row in rows).values() if count > 1]
    if several:
        logger.info(
            "%s: the chat template writes earlier answers otherwise than the last one, so %d conversations became %d "
            "sequences, one an answer",
            path, len(several), sum(several),
        )  # fmt: skip


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
