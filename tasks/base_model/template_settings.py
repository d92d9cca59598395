"""Settings of a chat template as part of the template: what ships is what was trained and asked.

A setting that only a call passes on (``enable_thinking``, today's date) is lost with whoever serves the model. Here it
becomes a line at the head of the template, so that the model's bytes and its identity hold it.
"""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from jinja2 import nodes

from evalsuite.core.errors import UsageError
from evalsuite.engines.chat_template import (
    CLOCK,
    TemplateRefusalError,
    chat_text,
    environment,
    names_read,
    template_of,
)
from evalsuite.network.model_source import resolve_model
from tasks.config.model import RESERVED_ARGUMENTS, ModelParams

NO_DATE = (
    "chat template writes today's date, so that the same conversation is another one tomorrow; set "
    'model.chat_template_date to a fixed date such as "2026-01-31", then run `ratchet stage fetch`'
)
REMEDY = "name a corrected Jinja file in model.chat_template"
CONVERSATIONS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("user", "Hello."),),
    (("user", "Hello."), ("assistant", "Hi."), ("user", "And you?")),
    (("system", "Be brief."), ("user", "Hello.")),
    (("system", "Be brief."), ("user", "Hello."), ("assistant", "Hi."), ("user", "And you?"), ("assistant", "Fine.")),
    (("user", "Hello."), ("assistant", "Hi.")),
)
"""Small conversations that a template is tried on."""


def check_template(params: ModelParams) -> None:
    """Refuse a template that is not Jinja or does not read the arguments that are set; loads nothing.

    Looks at the file that ``model.chat_template`` names, else at the model's own where it lies in a folder here.

    Raises:
        UsageError: Names the file, the line and the reason, or the names that the template reads.
    """
    if params.chat_template is None:
        folder = resolve_model(params.id).folder
        template = None if folder is None else own_template(folder)
        where = f"model.id = {params.id!r}"
    else:
        where = f"model.chat_template = {params.chat_template!r}"
        template = read_template(params.chat_template)
    if template is None:
        return  # told by fetch, which loads the tokenizer
    try:
        _check_read(template, params.chat_template_kwargs)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def read_template(name: str) -> str:
    """A template file of the project.

    Raises:
        UsageError: The file is absent, or is not UTF-8 text.
    """
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"model.chat_template = {name!r}: no such file; name a Jinja file, or take the line out")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"model.chat_template = {name!r}: not UTF-8 at byte {error.start}; save the file as UTF-8"
        ) from None


def own_template(folder: Path) -> str | None:
    """The default template of a model's folder, without loading its tokenizer; None where its files show none."""
    file = folder / "chat_template.jinja"
    try:
        if file.is_file():
            return file.read_text(encoding="utf-8")
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    found = config.get("chat_template") if isinstance(config, dict) else None
    if isinstance(found, list):
        named = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def is_affected(template: str | None, params: ModelParams) -> bool:
    """Whether the settings of ``params`` would change a template."""
    if template is None:
        return False
    known = names_read(template)
    return bool(known & set(params.chat_template_kwargs)) or (CLOCK in known and params.chat_template_date is not None)


def settle_template(tokenizer: Any, params: ModelParams) -> None:
    """Put the settings of ``model`` into a tokenizer's chat template, and try it on small conversations.

    Args:
        tokenizer: Gets the template that ships; of several named ones each gets the settings that it reads.
        params: The settings.

    Raises:
        UsageError: The template is not Jinja, fails on every small conversation, does not read an argument, or writes
            today's date; the message says what to do.
    """
    where = (
        f"model {params.id!r}" if params.chat_template is None else f"model.chat_template = {params.chat_template!r}"
    )
    try:
        _check_read(template_of(tokenizer), params.chat_template_kwargs)
        own = tokenizer.chat_template
        tokenizer.chat_template = _each(own, lambda text: _with_date(text, params))
        expected = _texts(tokenizer, params.chat_template_kwargs)
        tokenizer.chat_template = _each(tokenizer.chat_template, lambda text: _with_arguments(text, params))
        if _texts(tokenizer, {}) != expected:
            raise UsageError(
                "the template gives one text with model.chat_template_kwargs written into it and another with them "
                f"passed to it; write them into the template by hand: {REMEDY}"
            )
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def settle_other(tokenizer: Any, params: ModelParams) -> None:
    """Put those settings that it reads into the template of a model that is not this project's, and refuse nothing."""
    if not tokenizer.chat_template:
        return
    fixed = params.chat_template_date is not None
    tokenizer.chat_template = _each(
        tokenizer.chat_template,
        lambda text: _with_arguments(_with_date(text, params) if fixed else text, params),
    )


def _each(templates: Any, change: Callable[[str], str]) -> Any:
    """The one template, or each of several named ones, changed."""
    if isinstance(templates, dict):
        return {name: change(text) for name, text in templates.items()}
    return change(templates)


def _check_read(template: str, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that a template never looks at, or whose value it never asks for: settings without an effect."""
    known = names_read(template)
    # Names that it only assigns in some branch first are its own, unless it asks whether they were given.
    tree = environment().parse(template)
    assigned = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    asked = {test.node.name for test in tree.find_all(nodes.Test) if isinstance(test.node, nodes.Name)}
    offered = sorted(known - (assigned - asked) - RESERVED_ARGUMENTS - set(environment().globals))
    for name in sorted(set(arguments) - known):
        raise UsageError(
            f"model.chat_template_kwargs.{name}: the chat template does not read it; it reads "
            f"{', '.join(offered) or 'no argument'}"
        )
    truths = {test.node.name for test in tree.find_all(nodes.Test) if isinstance(test.node, nodes.Name) and _asks(test)}
    compared = {name.name for each in tree.find_all(nodes.Compare) for name in each.find_all(nodes.Name)}
    for name in sorted(truths - compared):
        if name in arguments and not isinstance(arguments[name], bool):
            raise UsageError(
                f"model.chat_template_kwargs.{name} = {arguments[name]!r}: the chat template asks whether it is true "
                "or false, and it is neither; write true or false"
            )


def _asks(test: nodes.Test) -> bool:
    """Whether a test is passed by true or false alone: ``is false``, ``is boolean``, ``is sameas true``."""
    given = test.args[0] if test.args else None
    exact = test.name == "sameas" and isinstance(given, nodes.Const) and isinstance(given.value, bool)
    return exact or test.name in ("true", "false", "boolean")


def _with_arguments(template: str, params: ModelParams) -> str:
    """The template with the arguments that it reads at its head; the rest stays byte for byte."""
    known = names_read(template)
    given = sorted(params.chat_template_kwargs.items())
    return "".join(f"{{%- set {name} = {_literal(value)} %}}\n" for name, value in given if name in known) + template


def _with_date(template: str, params: ModelParams) -> str:
    """The template with a clock that shows the fixed date; without one, with a clock that refuses to be read."""
    if CLOCK not in names_read(template):
        return template
    if params.chat_template_date is None:
        body = f"{{{{- raise_exception({_literal(NO_DATE)}) }}}}"
    else:
        moment = datetime.combine(params.chat_template_date, time())
        table = ", ".join(f"{_literal(each)}: {_literal(moment.strftime(each))}" for each in _formats(template))
        unknown = "raise_exception('no fixed date in the format ' ~ format)"
        body = f"{{%- set known = {{{table}}} %}}{{{{- known[format] if format in known else {unknown} }}}}"
    return f"{{%- macro {CLOCK}(format) %}}{body}{{%- endmacro %}}\n{template}"


def _formats(template: str) -> list[str]:
    """Formats in which a template writes the date."""
    found = set()
    for call in environment().parse(template).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == CLOCK:
            given = [*call.args, *(keyword.value for keyword in call.kwargs)]
            if len(given) != 1 or not isinstance(given[0], nodes.Const) or not isinstance(given[0].value, str):
                raise UsageError(
                    f"the chat template computes its date format at run time (line {call.lineno}); write the date into "
                    f"it by hand: {REMEDY}"
                )
            found.add(given[0].value)
    return sorted(found)


def _texts(tokenizer: Any, arguments: Mapping[str, Any]) -> list[str | None]:
    """What the template writes of the small conversations; None where it refuses such turns.

    Raises:
        UsageError: It refuses all of them, or reads the clock.
    """
    found: list[str | None] = []
    reasons = []
    for turns in CONVERSATIONS:
        messages = [{"role": role, "content": text} for role, text in turns]
        try:
            found.append(chat_text(tokenizer, messages, turns[-1][0] != "assistant", **arguments))
        except TemplateRefusalError as error:
            found.append(None)
            reasons.append(str(error))
    clock = [reason for reason in reasons if NO_DATE in reason]
    if clock:
        raise UsageError(f"the {NO_DATE}")
    if reasons and len(reasons) == len(found):
        raise UsageError(f"the {reasons[0]}; it fails on every small conversation: {REMEDY}")
    return found


def _literal(value: Any) -> str:
    """A JSON value as Jinja writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(key)}: {_literal(each)}' for key, each in value.items())}}}"
    if isinstance(value, date):
        return _literal(value.isoformat())
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
