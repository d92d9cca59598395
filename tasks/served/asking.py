"""Many independent questions to a served chat model, several at a time; each answer is kept the moment it comes.

An answer's key is the model, the version of the prompts, the sampling settings and the messages, and not the address:
the same model on another machine goes on where the first stopped.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import sha256_json
from evalsuite.engines.cache.answer_store import AnswerStore, StoredAnswer
from evalsuite.engines.progress import progress
from tasks.served.answers import ChatAnswer, read_answer, restored
from tasks.served.server import ChatServer

if TYPE_CHECKING:
    import openai

Messages = Sequence[Mapping[str, str]]
"""A chat: ``role`` and ``content`` of each turn."""
KEY_VERSION = 1
NOT_THIS_ONE = frozenset({400, 413, 422})
"""Statuses that refuse one request, such as a question longer than the model's context."""
TRIES_OF_REFUSED = 20
"""So many refused requests and no answer: the server takes none of this kind."""
READ_AT_ONCE = 2_000
"""Kept answers that are in memory at a time."""
PARAMETERS = (
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "seed",
    "logprobs",
    "top_logprobs",
)
"""What a request may have."""
_CODE = re.compile(r"[a-z]{1,20}(?:_[a-z]{1,20}){0,5}")


def ask_all(
    server: ChatServer,
    prompts: Sequence[Messages],
    kept: Path,
    label: str,
    *,
    version: str = "",
    again: str = "ratchet stage prepare",
) -> list[ChatAnswer]:
    """The answers in the order of ``prompts``; see ``ask_each``."""
    answers: dict[int, ChatAnswer] = {}
    ask_each(server, prompts, kept, label, answers.__setitem__, version=version, again=again)
    return [answers[at] for at in range(len(prompts))]


def ask_each(
    server: ChatServer,
    prompts: Sequence[Messages],
    kept: Path,
    label: str,
    on_answer: Callable[[int, ChatAnswer], None],
    *,
    version: str = "",
    again: str = "ratchet stage prepare",
) -> None:
    """Hand on the answer to every prompt, in any order; what was answered before is not asked again.

    Args:
        server: Who is asked, and how.
        prompts: Chats that end with the user's turn; equal ones are asked once. Each is read twice, and none is held.
        kept: Folder of the answers, such as ``.ratchet/served``; one file a model.
        label: What it is about, for progress and messages.
        on_answer: Takes the prompt's place and its answer; without a text, and with the kind of fault, where the server
            refused this prompt or sent no chat completion. Such ones are not kept, so that they are asked again.
        version: Digest of the prompts' wording, where something else than their text decides how an answer is meant.
        again: The command that goes on after a failure.

    Raises:
        StageError: The server cannot be reached or stays busy after every retry; says how many answers are kept.
        UsageError: The server refuses all requests: a wrong key, an unknown model, another address.
    """
    asked_with = [KEY_VERSION, server.model, version, server.sampling]
    keys = [sha256_json([*asked_with, [dict(turn) for turn in chat]]) for chat in prompts]
    store = AnswerStore(kept, server.model)
    try:
        places: dict[str, list[int]] = {}
        for begin in range(0, len(keys), READ_AT_ONCE):
            part = keys[begin : begin + READ_AT_ONCE]
            found = store.read(set(part))
            for at, key in enumerate(part, begin):
                if key in found:
                    on_answer(at, restored(found[key].answer))
                else:
                    places.setdefault(key, []).append(at)
        num_prompts = len(set(keys))
        num_kept = num_prompts - len(places)

        def came(key: str, answer: ChatAnswer, seconds: float) -> None:
            nonlocal num_kept
            if answer.text is not None:
                store.write(key, StoredAnswer(asdict(answer), seconds))
                num_kept += store.is_open
            for at in places[key]:
                on_answer(at, answer)

        left = ((key, prompts[found_at[0]]) for key, found_at in places.items())
        failure = _ask(server, left, len(places), label, came, is_new=num_kept == 0)
        if failure is not None:
            raise _explained(
                failure, server, label, f"{num_kept:,} of {num_prompts:,} answers are kept in {kept}", again
            )
    finally:
        store.close()


@dataclass(frozen=True)
class _AllRefused:
    """The server took none of the first requests."""

    fault: str


def _ask(
    server: ChatServer,
    left: Iterator[tuple[str, Messages]],
    total: int,
    label: str,
    came: Callable[[str, ChatAnswer, float], None],
    is_new: bool,
) -> "openai.OpenAIError | _AllRefused | None":
    """Ask until all are answered or one fails for good, which is returned; those in flight then still count.

    Of a model that never answered (``is_new``), the first requests show whether it takes any.
    """
    import openai

    failures: list[openai.OpenAIError | _AllRefused] = []
    faults: Counter[str] = Counter()

    async def work(client: openai.AsyncOpenAI, advance: Callable[[int], None]) -> None:
        clock = asyncio.get_running_loop().time
        for key, messages in left:
            started = clock()
            try:
                answer = await _answer(client, server, messages)
            except openai.OpenAIError as error:
                failures.append(error)
                return
            came(key, answer, clock() - started)
            advance(1)
            faults[answer.fault] += 1
            if is_new and faults[""] == 0 and faults.total() >= TRIES_OF_REFUSED:
                failures.append(_AllRefused(faults.most_common(1)[0][0]))
            if failures:
                return

    async def run(advance: Callable[[int], None]) -> None:
        async with server.client() as client, asyncio.TaskGroup() as group:
            for _ in range(min(server.concurrency, total)):
                group.create_task(work(client, advance))

    if total:
        with progress(label, total) as advance:
            asyncio.run(run(advance))
    return failures[0] if failures else None


async def _answer(client: "openai.AsyncOpenAI", server: ChatServer, messages: Messages) -> ChatAnswer:
    """One answer; the body is read as it came, since servers differ in what they leave out."""
    import openai

    chat: Any = [dict(turn) for turn in messages]
    ask = partial(client.chat.completions.with_raw_response.create, model=server.model, messages=chat)
    try:
        try:
            response = await ask(**server.sampling)
        except openai.BadRequestError as error:
            if error.param != "max_tokens":
                raise
            newer = {
                "max_completion_tokens" if name == "max_tokens" else name: each
                for name, each in server.sampling.items()
            }
            response = await ask(**newer)  # the name that OpenAI's newer models take alone
    except openai.APIStatusError as error:
        if error.status_code not in NOT_THIS_ONE:
            raise
        return ChatAnswer(None, f"refused with status {error.status_code}{_said(error)}")
    return read_answer(response.content)


def _said(error: "openai.APIStatusError") -> str:
    """Which of the parameters and what kind of mistake; all else may quote what the server was sent."""
    words = [error.param] if error.param in PARAMETERS else []
    words += [error.code] if isinstance(error.code, str) and _CODE.fullmatch(error.code) else []
    return f" ({', '.join(words)})" if words else ""


def _explained(
    error: "openai.OpenAIError | _AllRefused",
    server: ChatServer,
    label: str,
    stay: str,
    again: str,
) -> UsageError | StageError:
    """What a failure means for the user; no header and none of the server's sentences is quoted."""
    import openai

    where = f"{label}: the server at {server.shown_url}"
    if isinstance(error, _AllRefused):
        return UsageError(
            f"{where} answered none of the first {TRIES_OF_REFUSED} requests for model {server.model!r}: "
            f"{error.fault}; its log names what it refuses; set what it can do, then `{again}`"
        )
    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        if status in (401, 403):
            return UsageError(
                f"{where} refused the key (status {status}); set the right one in ${server.api_key_variable}; {stay}, "
                f"and `{again}` goes on"
            )
        if status == 404:
            return UsageError(
                f"{where} has no model {server.model!r}, or no /chat/completions (status 404); name one that "
                f"{server.shown_url}/models lists; {stay}, and `{again}` goes on"
            )
        if 300 <= status < 400:
            return UsageError(
                f"{where} sends requests on to another address (status {status}), which is not followed: rows go to "
                f"the address in the settings alone; set base_url to where the server is, then `{again}`"
            )
        return StageError(
            f"{where} answered with status {status} after {server.retries + 1} tries; {stay}, and `{again}` asks "
            "for the rest"
        )
    if isinstance(error, openai.APITimeoutError):
        what = f"did not answer within {server.timeout_seconds:g} s"
    else:
        what = f"cannot be reached ({type(error.__cause__ or error).__name__})"
    return StageError(
        f"{where} {what} in {server.retries + 1} tries; {stay}. Start it again, and `{again}` asks for the rest"
    )
