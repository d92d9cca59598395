"""A conversation as token ids with a loss on the assistant's answers only."""

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.engines.chat_template import TemplateRefusalError, chat_text, names_read, template_of
from evalsuite.engines.encoding import encoded
from tasks.config.train import Answers
from tasks.objectives.documents import IGNORED, Example
from tasks.objectives.tool_calls import plain_turn, unwritten, unwritten_call

REASONING = re.compile(r"<(think|thinking|thought|reasoning)>|\[THINK\]", re.IGNORECASE)
SWITCHES = ("enable_thinking", "thinking")
"""Names by which templates of hybrid models turn reasoning off."""
MAX_TRIED = 8
"""Places after a prompt at which its tokens are looked for, where white space of the answer joins its last token."""


_Turn = dict[str, Any]
_Tools = Sequence[Mapping[str, Any]]


class Labelled(NamedTuple):
    """A conversation, or the part of it up to one answer."""

    input_ids: list[int]
    """Those of the template's rendering, tokenised in one piece, up to the end of the last answer that is learnt."""
    spans: tuple[tuple[int, int], ...]
    """Begin and end (exclusive) of what is learnt: each answer with the token that ends its turn."""

    def example(self) -> Example:
        """With a label for each token."""
        labels = [IGNORED] * len(self.input_ids)
        for begin, end in self.spans:
            labels[begin:end] = self.input_ids[begin:end]
        return Example(self.input_ids, labels)


class _Rendering(NamedTuple):
    text: str
    ids: list[int]
    offsets: Sequence[tuple[int, int]] | None
    """Characters of each token; None of a slow tokenizer."""
    anchors: list[tuple[int, int]]
    """(end in characters, index) of each added token: what stands before one does not change how the rest splits."""


class UnwritableRowError(UsageError):
    """A row that the chat template cannot write as it is to be learnt."""

    def __init__(self, name: str, reason: str) -> None:
        """Name the row and say why."""
        super().__init__(f"row {name!r}: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type["UnwritableRowError"], tuple[str, str]]:
        """Processes that tokenise send it to the one that started them."""
        return type(self), (self.name, self.reason)


class _UnfitError(Exception):
    """Why an answer cannot be told in a rendering."""


class Labeller:
    """Finds the answers of conversations in a tokenizer's own renderings of them."""

    def __init__(self, tokenizer: Any, end_ids: Collection[int] | None = None, answers: Answers = Answers.ALL) -> None:
        """Read what the tokenizer adds.

        Args:
            tokenizer: With its chat template.
            end_ids: Tokens at which generation stops; the tokenizer's own when absent.
            answers: Which answers are learnt.
        """
        self._tokenizer = tokenizer
        self._ends = {tokenizer.eos_token_id} if end_ids is None else set(end_ids)
        self._answers = answers
        self._added_ids = frozenset(tokenizer.added_tokens_decoder) | frozenset(tokenizer.all_special_ids)
        special = sorted(filter(None, tokenizer.all_special_tokens), key=len, reverse=True)
        self._added = re.compile("|".join([r"\s", *map(re.escape, special)]))

    def label(
        self, name: str, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> list[Labelled]:
        """A conversation as what is trained on: one sequence, or one an answer.

        One sequence holds all answers where the template writes an answer with more turns after it as it does without
        them. Where it does not (it drops the reasoning of earlier answers, or ends the last one alone), each answer
        gets a sequence of its own, the template's rendering of the conversation up to it. What templates put after the
        end of a turn (a line break) is never generated, so it is not learnt. White space with which an answer begins
        is not learnt where the tokenizer joins it with the prompt's last token. A conversation without an answer to
        learn gives no sequence.

        Of a turn with calls all is learnt that the template writes for it. Results of tools are never learnt.

        Raises:
            UnwritableRowError: The template refuses the turns, renders a prompt otherwise with the answer than without
                it, drops a text, a tool or a call, adds a text to an answer, or ends an answer with no token at which
                generation stops; the row is named.
        """
        turns = [plain_turn(turn) for turn in messages]
        learnt = learnt_turns(messages, self._answers)
        if len(learnt) > 1 and self._tokenizer.is_fast:
            try:
                return [self._labelled(turns[: learnt[-1] + 1], learnt, tools)]
            except (_UnfitError, TemplateRefusalError):
                pass  # told below, of the answer alone, where it is no matter of the turns that follow
        try:
            return [self._labelled(turns[: turn + 1], [turn], tools) for turn in learnt]
        except _UnfitError as error:
            raise UnwritableRowError(name, str(error)) from None
        except TemplateRefusalError as error:
            raise UnwritableRowError(
                name, f"the {error}; change such rows, or name another template in model.chat_template"
            ) from None

    def _labelled(self, turns: list[_Turn], learnt: Sequence[int], tools: _Tools) -> Labelled:
        rendering = self._render(turns, tools)
        spans = tuple(self._span(turns, turn, rendering, tools) for turn in learnt)
        return Labelled(rendering.ids[: spans[-1][1]], spans)

    def _written(self, turns: list[_Turn], ask: bool, tools: _Tools) -> str:
        return chat_text(self._tokenizer, turns, ask, **({"tools": list(tools)} if tools else {}))

    def _render(self, turns: list[_Turn], tools: _Tools) -> _Rendering:
        text = self._written(turns, False, tools)
        if not self._tokenizer.is_fast:
            return _Rendering(text, encoded(self._tokenizer, text)["input_ids"], None, [])
        found = encoded(self._tokenizer, text, return_offsets_mapping=True)
        ids, offsets = found["input_ids"], found["offset_mapping"]
        anchors = [
            (end, index)
            for index, (token, (begin, end)) in enumerate(zip(ids, offsets, strict=True))
            if begin < end and token in self._added_ids
        ]
        return _Rendering(text, ids, offsets, anchors)

    def _span(self, turns: list[_Turn], turn: int, rendering: _Rendering, tools: _Tools) -> tuple[int, int]:
        """Tokens of one answer and of the end of its turn."""
        prompt = self._written(turns[:turn], True, tools)
        text = rendering.text
        if not text.startswith(prompt):
            raise self._changes(prompt)
        for message in turns[:turn]:
            if message["role"] not in ("assistant", "tool") and message["content"].strip() not in prompt:
                raise _UnfitError(
                    f"the chat template drops or changes the text of a {message['role']} message; use another template"
                )
        lacking = unwritten(tools, turns[:turn], prompt)
        if lacking is not None:
            raise self._drops(lacking)
        content = turns[turn]["content"].strip()
        if "tool_calls" in turns[turn]:
            return self._span_of_calls(
                turns, turn, rendering, len(prompt), self._written(turns[: turn + 1], False, tools)
            )
        begin = self._place(text, len(prompt), content)
        first = self._first(rendering, len(prompt), begin)
        return first, self._last(rendering, first, begin + len(content)) + 1

    def _span_of_calls(
        self, turns: list[_Turn], turn: int, rendering: _Rendering, start: int, until: str
    ) -> tuple[int, int]:
        """Tokens of a turn with calls, all that the template writes for it up to the token that ends it."""
        whole = until.rstrip()
        if not rendering.text.startswith(whole):
            raise self._changes(whole)
        written = rendering.text[start : len(whole)]
        content = turns[turn]["content"].strip()
        lacking = unwritten_call(turns[turn], written) or (None if content in written else "the text before a call")
        if lacking is not None:
            raise self._drops(lacking)
        first = self._first(rendering, start, start + len(written) - len(written.lstrip()))
        return first, self._last(rendering, first, start, len(whole)) + 1

    def _place(self, text: str, start: int, content: str) -> int:
        """Where an answer begins: white space and special tokens alone may stand before it."""
        place = start
        while not text.startswith(content, place):
            skipped = self._added.match(text, place)
            if skipped is None:
                found = text.find(content, start)
                if found < 0:
                    raise _UnfitError("the chat template drops or changes the assistant's text; use another template")
                raise self._adds(text[start:found])
            place = skipped.end()
        return place

    def _first(self, rendering: _Rendering, start: int, begin: int) -> int:
        """The first token after a prompt whose own tokens are those that the engine asks with."""
        places = [*range(start, min(begin, start + MAX_TRIED) + 1), begin]
        for place in dict.fromkeys(places):
            anchor = bisect_right(rendering.anchors, (place, len(rendering.ids))) - 1
            if anchor >= 0 and rendering.offsets is not None:
                index = rendering.anchors[anchor][1]
                tail = rendering.text[rendering.offsets[index][0] : place]
                asked = self._tokenizer(tail, add_special_tokens=False, verbose=False)["input_ids"]
            else:
                index, asked = 0, encoded(self._tokenizer, rendering.text[:place])["input_ids"]
            if rendering.ids[index : index + len(asked)] == asked:
                return index + len(asked)
        raise _UnfitError(
            f"the tokenizer joins the end of the prompt ({rendering.text[max(0, start - 12) : start]!r}) and the "
            "answer's first word into one token, so that the model would never learn what follows the prompt as it is "
            "asked; let the chat template end its prompt otherwise (without a space)"
        )

    def _last(self, rendering: _Rendering, first: int, stop: int, until: int | None = None) -> int:
        """The token that ends a turn.

        White space and special tokens alone may stand between the answer, which ends at character ``stop``, and it;
        where ``until`` is given, the turn's last character, between it and that.
        """
        ids, offsets = rendering.ids, rendering.offsets
        if offsets is None:
            last = max((index for index in range(first, len(ids)) if ids[index] in self._ends), default=None)
        else:
            limit = len(rendering.text) if until is None else until
            after = (index for index in range(first, len(ids)) if stop <= offsets[index][0] < limit)
            last = next((index for index in after if ids[index] in self._ends), None)
        if last is None:
            raise _UnfitError(
                "the chat template ends the answer with no token at which generation stops (eos_token "
                f"{self._tokenizer.eos_token!r}), so the model would never learn to stop; set model.chat_template to "
                "one that writes it after an answer"
            )
        if until is None:
            between = rendering.text[stop : len(rendering.text) if offsets is None else offsets[last][0]]
        else:
            between = "" if offsets is None else rendering.text[offsets[last][1] : until]
        if self._added.sub("", between):
            raise self._adds(between)
        return last

    def _drops(self, what: str) -> _UnfitError:
        return _UnfitError(
            f"the chat template does not write {what}; name a template that writes tools in model.chat_template, or "
            "take such rows out"
        )

    def _adds(self, text: str) -> _UnfitError:
        added = " ".join(self._added.sub(" ", text).split())[:40]
        return _UnfitError(
            f"the chat template adds {added!r} to the answer, which the model would learn to write; "
            f"{self._remedy(added)}use another template, or put it into the rows"
        )

    def _changes(self, prompt: str) -> _UnfitError:
        """An answer is written after another text than what asks for it."""
        end = prompt[-40:]
        closed = REASONING.search(end) is not None
        why = f" (the prompt ends with {end.strip()!r}, and the row may hold reasoning of its own)"
        return _UnfitError(
            f"the chat template changes the prompt when an answer follows{why if closed else ''}; "
            f"{self._remedy(end)}use another template"
            + (", or take the reasoning out of the rows, or the setting out of model.chat_template_kwargs" * closed)
        )

    def _remedy(self, text: str) -> str:
        """The setting that turns reasoning off, where reasoning is what a template adds."""
        known = names_read(template_of(self._tokenizer)) if REASONING.search(text) else frozenset()
        return "".join(
            f"set model.chat_template_kwargs: {{{name}: false}} and run `ratchet stage fetch`, "
            for name in SWITCHES
            if name in known
        )


def learnt_turns(messages: Sequence[Mapping[str, Any]], answers: Answers) -> list[int]:
    """Positions of the assistant's turns that are learnt: those with another weight than 0, or the last of them."""
    learnt = [
        position for position, turn in enumerate(messages) if turn["role"] == "assistant" and turn.get("weight", 1) != 0
    ]
    return learnt if answers is Answers.ALL else learnt[-1:]


def end_tokens(base: Path, tokenizer: Any) -> set[int]:
    """Tokens at which generation stops: the tokenizer's, and those of generation_config.json."""
    from transformers import GenerationConfig

    found: Any = None
    if (base / "generation_config.json").is_file():
        found = GenerationConfig.from_pretrained(base, local_files_only=True).eos_token_id
    listed = found if isinstance(found, list) else [found]
    return {token for token in (tokenizer.eos_token_id, *listed) if token is not None}
