"""Prepared rows as token ids with a loss on the assistant's tokens only, or on all of a document's."""

import json
import logging
import multiprocessing
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from evalsuite.errors import MissingArtifactError, UsageError
from tasks.params import LongRows
from tasks.training.documents import IGNORED as IGNORED
from tasks.training.documents import Example as Example
from tasks.training.documents import document_ids, pieces
from tasks.training.token_cache import TokenRow, cache_file, load_tokens, save_tokens

logger = logging.getLogger(__name__)

ROWS_OF_A_PROCESS = 10_000
"""Fewer are tokenised before another process has started."""
DOCUMENT = -1
"""What a document has in place of the number of tokens that are not learnt."""


def read_examples(
    path: Path,
    tokenizer: Any,
    max_length_tokens: int,
    long_rows: LongRows = LongRows.STOP,
    end_ids: Collection[int] | None = None,
    cache: Path | None = None,
) -> list[Example]:
    """Tokenise data/prepared/{train,dev}.jsonl, in several processes where there are many rows.

    Args:
        path: The rows.
        tokenizer: With its chat template, which documents do not need.
        max_length_tokens: Of a row; documents are cut into so many tokens.
        long_rows: What becomes of longer conversations.
        end_ids: Tokens at which generation stops; the tokenizer's own when absent.
        cache: Folder where tokens are kept and found again; none when absent.

    Raises:
        MissingArtifactError: The file is absent.
        UsageError: It is empty, or a row cannot be trained on; the row's id is named.
    """
    if not path.is_file():
        raise MissingArtifactError(f"no prepared rows at {path}; make them with `ratchet stage prepare`")
    named: list[tuple[str, Example]] = []
    documents = 0
    for name, ids, num_unlearnt in _tokenized(path, tokenizer, end_ids, cache):
        if num_unlearnt == DOCUMENT:
            documents += 1
            named += [(name, piece) for piece in pieces(ids, max_length_tokens)]
        else:
            named.append((name, Example(ids, [IGNORED] * num_unlearnt + ids[num_unlearnt:])))
    if documents:
        tokens = sum(label != IGNORED for _, example in named for label in example.labels)
        logger.info("%s: %d documents in %d rows, %d tokens learnt", path, documents, len(named), tokens)
    examples = _fit(path, named, max_length_tokens, long_rows)
    if not examples:
        raise UsageError(f"{path} has no rows; give data/raw more rows and run `ratchet stage prepare`")
    return examples


def _tokenized(path: Path, tokenizer: Any, end_ids: Collection[int] | None, cache: Path | None) -> list[TokenRow]:
    """All rows, whole."""
    sources = [Path(__file__), Path(__file__).with_name("documents.py")]
    kept = None if cache is None else cache_file(cache, path, tokenizer, end_ids, sources)
    found = None if kept is None else load_tokens(kept)
    if found is None:
        found = _tokenize_all(list(_lines(path)), tokenizer, end_ids)
        if kept is not None:
            save_tokens(kept, found)
    return found


def _tokenize_all(lines: list[str], tokenizer: Any, end_ids: Collection[int] | None) -> list[TokenRow]:
    """In this process, or in one a core where that is worth their start."""
    workers = min(len(os.sched_getaffinity(0)), len(lines) // ROWS_OF_A_PROCESS)
    if workers < 2:
        return _tokenize_lines(lines, tokenizer, end_ids)
    size = -(-len(lines) // (2 * workers))
    chunks = [lines[begin : begin + size] for begin in range(0, len(lines), size)]
    work = partial(_tokenize_lines, tokenizer=tokenizer, end_ids=end_ids)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return [row for rows in pool.map(work, chunks) for row in rows]


def _tokenize_lines(lines: Sequence[str], tokenizer: Any, end_ids: Collection[int] | None) -> list[TokenRow]:
    rows = []
    for row in map(json.loads, lines):
        if "text" in row:
            rows.append(TokenRow(row["id"], document_ids(row["text"], tokenizer), DOCUMENT))
            continue
        example = tokenize(row["id"], row["messages"], tokenizer, end_ids)
        learnt = sum(label != IGNORED for label in example.labels)
        rows.append(TokenRow(row["id"], example.input_ids, len(example.labels) - learnt))
    return rows


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


def tokenize(
    name: str, messages: Sequence[dict[str, str]], tokenizer: Any, end_ids: Collection[int] | None = None
) -> Example:
    """One conversation; the end-of-turn token is learnt with the answer.

    Raises:
        UsageError: The chat template renders the prompt otherwise with the answer than without it, drops a text or adds
            one to the answer, or ends the answer with no token at which generation stops.
    """
    prompt = tokenizer.apply_chat_template(list(messages[:-1]), tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(list(messages), tokenize=False)
    if not whole.startswith(prompt):
        raise UsageError(
            f"row {name!r}: the chat template changes the prompt when an answer follows; use another template"
        )
    _check_texts(name, messages, prompt, whole[len(prompt) :], tokenizer)
    bos = tokenizer.bos_token
    special = not (bos and whole.startswith(bos))
    prompt_ids = tokenizer(prompt, add_special_tokens=special)["input_ids"]
    answer = tokenizer(whole[len(prompt) :], add_special_tokens=False)["input_ids"]
    ends = {tokenizer.eos_token_id} if end_ids is None else set(end_ids)
    last = max((index for index, token in enumerate(answer) if token in ends), default=None)
    if last is None:
        raise UsageError(
            f"row {name!r}: the chat template ends the answer with no token at which generation stops "
            f"(eos_token {tokenizer.eos_token!r}), so the model would never learn to stop; set model.chat_template to "
            "one that writes it after an answer"
        )
    # What templates put after the end of the turn (a line break) is never generated, so it is not learnt either.
    answer = answer[: last + 1]
    return Example(prompt_ids + answer, [IGNORED] * len(prompt_ids) + answer)


def _check_texts(name: str, messages: Sequence[dict[str, str]], prompt: str, answer: str, tokenizer: Any) -> None:
    """Refuse a template that loses what a person wrote, or puts words into the model's mouth."""
    for message in messages[:-1]:
        if message["role"] != "assistant" and message["content"].strip() not in prompt:
            raise UsageError(
                f"row {name!r}: the chat template drops or changes the text of a {message['role']} message; use "
                "another template"
            )
    content = messages[-1]["content"].strip()
    if content not in answer:
        raise UsageError(f"row {name!r}: the chat template drops or changes the assistant's text; use another template")
    added = answer.replace(content, "", 1)
    for token in sorted(tokenizer.all_special_tokens, key=len, reverse=True):
        added = added.replace(token, "")
    if added.strip():
        raise UsageError(
            f"row {name!r}: the chat template adds {added.strip()[:40]!r} to the answer, which the model would learn "
            "to write; use another template, or put it into the rows"
        )
