"""Chat templates of tokenizers: what they read, and the text that they make of a conversation."""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from evalsuite.core.errors import UsageError

CLOCK = "strftime_now"
"""The function by which templates of transformers write today's date."""
MAX_REASON = 300


class TemplateRefusalError(UsageError):
    """A template that makes no text of some turns; the message holds the template's own words."""


class _Generation(Extension):
    """``{% generation %}``, by which some templates mark answers; it writes nothing."""

    tags = {"generation"}  # noqa: RUF012  as jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The body alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """Jinja as transformers sets it up for chat templates; its own functions come with the rendering."""
    return ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )


@lru_cache(maxsize=32)
def names_read(template: str) -> frozenset[str]:
    """Names that a template reads and does not set itself.

    Raises:
        UsageError: It is not Jinja; names the line and the reason.
    """
    try:
        return frozenset(meta.find_undeclared_variables(environment().parse(template)))
    except TemplateSyntaxError as error:
        raise UsageError(f"the chat template has a syntax error in line {error.lineno}: {_words(error)}") from None
    except (TemplateError, RecursionError) as error:
        raise UsageError(f"the chat template cannot be read: {_words(error)}") from None


def template_of(tokenizer: Any) -> str:
    """The template that a plain conversation goes through, which of several named ones is the default.

    Raises:
        UsageError: The model has no chat template, or none of several is the default.
    """
    template = tokenizer.chat_template
    if isinstance(template, dict):
        if "default" not in template:
            names = ", ".join(sorted(map(str, template))) or "none"
            raise UsageError(
                f"the model has several chat templates ({names}) and none of them is the default; name a Jinja file in "
                "model.chat_template"
            )
        template = template["default"]
    if not template:
        raise UsageError("the model has no chat template; name a Jinja file in model.chat_template")
    return str(template)


def chat_text(tokenizer: Any, messages: Sequence[Mapping[str, Any]], ask: bool, **arguments: Any) -> str:
    """A conversation as the tokenizer's template writes it.

    Args:
        tokenizer: With its template.
        messages: The turns.
        ask: End with what asks for the assistant's next turn.
        arguments: Arguments of the template.

    Raises:
        TemplateRefusalError: The template refuses the turns, or fails on them.
        UsageError: There is no template, it is not Jinja, or it writes today's date.
    """
    if CLOCK in names_read(template_of(tokenizer)):
        raise UsageError(
            "the chat template writes today's date, so that the same conversation is another one tomorrow; set "
            "model.chat_template_date to a fixed date, then `ratchet stage fetch`"
        )
    try:
        text: str = tokenizer.apply_chat_template(
            [dict(message) for message in messages], tokenize=False, add_generation_prompt=ask, **arguments
        )
    except Exception as error:  # a template is a program of strangers, and raises whatever it likes
        roles = ", ".join(str(message.get("role")) for message in messages)
        raise TemplateRefusalError(f"chat template refuses turns with the roles {roles}: {_words(error)}") from None
    return text


def _words(error: Exception) -> str:
    """What an error says, on one line; with its kind where the template did not raise it on purpose."""
    said = " ".join(str(error).split())[:MAX_REASON] or "no reason given"
    meant = type(error) is TemplateError or isinstance(error, TemplateSyntaxError)
    return said if meant else f"{type(error).__name__}: {said}"
