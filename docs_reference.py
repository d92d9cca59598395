"""Write the pages of docs/ that the code says best: settings, commands, exit codes, metrics, files, decisions.

Run:  python -m docs_reference     (`make docs` does; a test fails where a committed page is not what this writes)
"""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from datetime import date
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from evalsuite.comparison.rows import Comparison
from evalsuite.contamination.overlap import ContaminationReport
from evalsuite.core import errors
from evalsuite.core.errors import ExitCode, RatchetError
from evalsuite.core.identity import ModelManifest
from evalsuite.core.yaml_file import read_yaml
from evalsuite.gate.costs import RECORDED_COSTS
from evalsuite.gate.decision import Decision
from evalsuite.gate.directions import OWN
from evalsuite.gate.replay import Record
from evalsuite.gate.rules import Direction
from evalsuite.items.lm_eval_values import FRACTIONS, HIGHER, LOWER, OVER_ALL
from evalsuite.items.results import SCHEMA_VERSION as ITEMS_VERSION
from evalsuite.items.results import ItemResult, SuiteSummary
from evalsuite.report.forms.document import ReportDocument, report_schema
from evalsuite.suites.golden_set.items import GoldenManifest
from evalsuite.suites.golden_set.metrics import PARAMS, TEXT_METRICS
from flows.cli.app import STOPPED, app
from tasks.config.params import Params
from tasks.lineage.proof import Proof
from tasks.pin import Pin
from tasks.prepare.record.forgotten import Forgotten
from tasks.prepare.standard import STEPS
from tasks.registry.champion import ChampionFile
from tasks.registry.journal import Run
from tasks.registry.ledger import Entry
from tasks.training.parallel.launch import LaunchPlan
from tasks.training.state.log import TrainLog

ROOT = Path(__file__).parent
MADE = "<!-- Written by `python -m docs_reference` from the code; change it there. -->\n\n"
BLANK = "\n\n"
PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", date: "date", Any: "any value"}
PLAIN_OPTIONS = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "int range": "whole number",
    "float range": "number",
}
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "min_length": "entries: at least"}
FILES: dict[str, type[BaseModel]] = {
    "plans/baseline.json": Pin,
    "evals/MODEL/SUITE/summary.json": SuiteSummary,
    "evals/MODEL/SUITE/items.parquet": ItemResult,
    "reports/contamination.json": ContaminationReport,
    "reports/comparison.json": Comparison,
    "reports/decision.json": Decision,
    "ratchet report --json": ReportDocument,
    "registry/decisions/ID.json.gz": Record,
    "registry/ledger.jsonl": Entry,
    "registry/forgotten/ID.json": Proof,
    "data/forgotten.jsonl": Forgotten,
    ".ratchet/journal/START.json": Run,
    "registry/champion.json": ChampionFile,
    "models/METHOD/export/manifest.json": ModelManifest,
    "models/METHOD/train_log.json": TrainLog,
    "plans/METHOD.launch.json": LaunchPlan,
    "golden_sets/NAME/manifest.json": GoldenManifest,
}
"""File of a project -> what it holds; of a file with several lines, what a line holds."""
BY_A_MODEL = {
    "bertscore_f1": "BERTScore F1 against the reference (graded).",
    "bertscore_pass": "1.0 when BERTScore F1 is at or above the threshold.",
    "refusal_expected": "1.0 when the judge of refusals says that the answer refuses fully.",
    "refusal_not_expected": "1.0 when the judge of refusals says that the answer does not refuse at all.",
    "judge": "1.0 when the chat model of `evaluation.golden.judge` says that the answer meets the rubric.",
}


def pages() -> dict[str, str]:
    """Every page by its path below docs/."""
    return {
        "reference/params.md": MADE + params_page(),
        "reference/cli.md": MADE + cli_page(),
        "reference/exit_codes.md": MADE + exit_codes_page(),
        "reference/metrics.md": MADE + metrics_page(),
        "reference/files.md": MADE + files_page(),
        "reference/report.schema.json": report_schema(),
        "decisions.md": MADE + decisions_page(),
    }


def params_page() -> str:
    """All settings of params.yaml, section by section in the order of the file that is shipped."""
    shipped = list(read_yaml(ROOT / "params.yaml"))
    order = sorted(Params.model_fields, key=lambda name: shipped.index(name) if name in shipped else len(shipped))
    text = [
        "# Settings: params.yaml\n\nEvery setting with its type, its default and what it means. An unknown key is an "
        "error that names the nearest right one. Where a default is empty, the setting is absent.\n"
    ]
    found: dict[str, list[type[BaseModel]]] = {}
    for name in order:
        for place, model in sections(name, Params.model_fields[name].annotation):
            found.setdefault(place, []).append(model)
        if name == "prepare":
            of_steps = {f"prepare.steps.{step}": model for step, model in STEPS.items() if model.model_fields}
            found |= {place: [each] for top, model in of_steps.items() for place, each in sections(top, model)}
    for place, models in found.items():
        text.append(f"{'#' * min(2 + place.removesuffix('.NAME').count('.'), 4)} {place}\n")
        text += [f"{said(model)}\n\n{table_of(model, place)}\n" for model in models]
    return "\n".join(text)


def sections(place: str, annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every settings class that an annotation holds, with its dotted path in the file."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield place, annotation
        for name, field in annotation.model_fields.items():
            yield from sections(f"{place}.{name}", field.annotation)
        return
    below = {dict: ".NAME", tuple: "[]"}.get(get_origin(annotation), "")
    for argument in get_args(annotation):
        yield from sections(place + below, argument)


def table_of(model: type[BaseModel], place: str = "") -> str:
    """One row a setting of a class."""
    words = attribute_docs(model)
    rows = [
        f"| `{name}` | {kind(field.annotation, f'{place}.{name}')}{bounds(field)} | {default(field)} "
        f"| {meaning(field, words.get(name, ''))} |"
        for name, field in model.model_fields.items()
    ]
    return "\n".join([f"| {'setting' if place else 'name'} | type | default | meaning |", "|---|---|---|---|", *rows])


def kind(annotation: Any, place: str) -> str:
    """An annotation in plain words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(arguments[0], place)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(kind(each, place) for each in arguments if each is not NoneType)
    if origin in (tuple, list):
        return f"list: {kind(arguments[0], f'{place}[]')}"
    if origin is dict:
        return f"mapping: {kind(arguments[1], f'{place}.NAME')}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "record" if place.startswith(".") else f"[settings](#{anchor(place)})"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    return PLAIN.get(annotation, "any value")


def anchor(place: str) -> str:
    """The id that Markdown gives the heading of a section."""
    return "".join(letter for letter in place.lower() if letter.isalnum() or letter in "_-")


def bounds(field: FieldInfo) -> str:
    """What a value must keep to, after its type."""
    found = ""
    for limit in field.metadata:
        for name, word in BOUNDS.items():
            value = getattr(limit, name, None)
            if value is not None and not (name == "min_length" and field.annotation is str):
                found += f", {word} {value:,}" if isinstance(value, int) else f", {word} {value:g}"
    return found


def meaning(field: FieldInfo, text: str) -> str:
    """The text below a setting, else that of its section, and below it what each of its choices means."""
    members = [each for each in (field.annotation, *get_args(field.annotation)) if inspect.isclass(each)]
    text = text or next((said(model) for _, model in sections("", field.annotation)), "")
    for choices in members:
        if issubclass(choices, Enum):
            words = attribute_docs(choices)
            named = [f"`{each.value}`: {cell(words[each.name])}" for each in choices if each.name in words]
            text = "<br>".join([*([text] if text else []), *([said(choices), *named] if named else [])])
    return cell(text)


def default(field: FieldInfo) -> str:
    """A default as params.yaml would have it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}, ""):
        return ""
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, dict):
        return cell(", ".join(f"`{name}`" for name in value))
    return f"`{value.value if isinstance(value, Enum) else json.dumps(to_jsonable_python(value))}`".replace('"', "")


def cli_page() -> str:
    """All commands with their arguments and options."""
    found = list(commands(typer.main.get_command(app), "ratchet"))
    text = [
        "# Commands\n\nResults go to stdout, progress and errors to stderr. `ratchet --traceback COMMAND` shows where "
        "an error came from.\n\n| command | what it does |\n|---|---|",
        *(
            f"| [`{path}`](#{path.replace(' ', '-')}) | {cell((command.help or '').partition(BLANK)[0])} |"
            for path, command in found
        ),
        "",
    ]
    for path, command in found:
        context = command.make_context(path, [], resilient_parsing=True)
        needed = [each for each in command.params if each.required]
        named = (f"{each.opts[0]} " * (each.param_type_name == "option") + each.name.upper() for each in needed)
        usage = " ".join([path, *named])
        text.append(f"## {path}\n\n{paragraphs(command.help)}\n\n```\n{usage}\n```\n")
        rows = [option_row(each, context) for each in command.params]
        if rows:
            text.append("\n".join(["| | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n")
    return "\n".join(text)


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, a group that does something without one of its commands too."""
    below = getattr(command, "commands", None)
    if below is None or command.invoke_without_command:
        yield path, command
    for name, each in (below or {}).items():
        yield from commands(each, f"{path} {name}")


def option_row(option: Any, context: Any) -> str:
    """An option by all its names, an argument by its own, with what is written after it."""
    names = [option.metavar or option.name.upper()]
    if option.param_type_name == "option":
        names = [*option.opts, *option.secondary_opts]
    found = option.display_type(context).strip("<>")
    choices = " or ".join(f"`{each}`" for each in found.split("|"))
    taken = PLAIN_OPTIONS.get(found, choices if "|" in found else found)
    absent = "" if option.default in (None, False) else f"`{option.default}`"
    return (
        f"| {', '.join(f'`{name}`' for name in names)} | {'' if getattr(option, 'is_flag', False) else taken} "
        f"| {'required' if option.required else absent} | {cell(option.help or '')} |"
    )


def exit_codes_page() -> str:
    """The codes of the enum, the errors that end with each, and what a signal leaves behind."""
    words = attribute_docs(ExitCode)
    rows = [f"| {int(code)} | {code.name} | {cell(words[code.name])} | {ended_with(code)} |" for code in ExitCode]
    left = [f"| `ratchet {command}` | {cell(what)} |" for command, what in STOPPED.items()]
    return "\n".join(
        [
            "# Exit codes\n\nThe codes of `ratchet run`, `ratchet gate check` and `ratchet gate compare` are verdicts; "
            "every command ends with 2, 4 or 5 where something is wrong.\n",
            "| code | name | it says | errors |\n|---|---|---|---|",
            *rows,
            "| 130, 143 | | Stopped by Ctrl-C or by SIGTERM; finished stages and checkpoints are kept. | |\n",
            "A reader that leaves early (`| head`) changes neither the work nor the code. `ratchet run --any-verdict` "
            "ends with 0 whatever the verdict is.\n",
            "## After a stop\n\n| command | it says |\n|---|---|",
            *left,
            "",
        ]
    )


def ended_with(code: ExitCode) -> str:
    """The errors of a code, with what each one means."""
    found = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, RatchetError)]
    own = [each for each in found if each is not RatchetError and each.exit_code is code]
    return cell("<br>".join(f"`{each.__name__}`: {said(each)}" for each in own))


def metrics_page() -> str:
    """What an item of a golden set may ask for, which way every metric is better, and the costs."""
    rows = []
    for name, params in PARAMS.items():
        meaning = (
            paragraphs(TEXT_METRICS[name].score.__doc__).split("\n\n")[0] if name in TEXT_METRICS else BY_A_MODEL[name]
        )
        rows.append(f"| `{name}` | {', '.join(f'`{each}`' for each in params.model_fields)} | {cell(meaning)} |")
    given = [each for each in dict.fromkeys(PARAMS.values()) if each.model_fields]
    known = dict.fromkeys(FRACTIONS | HIGHER, Direction.HIGHER) | dict.fromkeys(LOWER, Direction.LOWER) | OVER_ALL | OWN
    better = {way: sorted((name for name in known if known[name] is way), key=str.lower) for way in Direction}
    return "\n".join(
        [
            "# Metrics\n\n## Of golden items\n\nEach score lies between 0 and 1, higher is better, and the best "
            "reference counts. [Golden sets](../golden_sets.md) says how texts and numbers are compared.\n",
            "| metric | parameters | score |\n|---|---|---|",
            *rows,
            "\n### Their parameters\n",
            *(f"{said(each)}\n\n{table_of(each)}\n" for each in given),
            "## Which way is better\n\nA rule on any other metric says `direction: higher` or `direction: lower`, "
            "unless a word of its name tells (`accuracy`, `loss`). These are those of our suites and of lm-eval.\n",
            *(
                f"**Better {way.value}**: {', '.join(f'`{name}`' for name in names)}.\n"
                for way, names in better.items()
            ),
            "## Costs\n\nA rule `suite: costs` limits one of these by `kind: ceiling` or `kind: floor`; they are exact "
            f"and have no interval: {', '.join(f'`{name}`' for name in RECORDED_COSTS)}.\n",
        ]
    )


def files_page() -> str:
    """What a project keeps in files, with the schema version that each one carries."""
    text = [
        "# Files\n\nEvery file carries its `schema_version`. A version that is not known is refused with both numbers "
        "and the command that makes the file again. `null` in a JSON file is a value that is not there.\n"
    ]
    for path, model in FILES.items():
        fields = model.model_fields
        version = fields["schema_version"].default if "schema_version" in fields else ITEMS_VERSION
        what = said(model).removeprefix(f"{path}: ").removeprefix(f"{path}.")
        text.append(f"## {path}\n\n{f'{what} Schema version {version}.'.strip()}\n\n{table_of(model)}\n")
    return "\n".join(text)


def decisions_page() -> str:
    """The pages of design/, which docs/decisions shows."""
    text = "# Decisions\n\nOne page a decision: the problem, the decision, what was refused and what follows.\n\n"
    for page in sorted((ROOT / "design").glob("*.md")):
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").removeprefix(f"{page.stem[:3]}: ")
        text += f"- [{page.stem[:3]}](decisions/{page.name}) {title}\n"
    return text


def said(thing: type) -> str:
    """The docstring of a class."""
    return paragraphs(thing.__doc__)


def paragraphs(text: str | None) -> str:
    """A docstring as Markdown: each paragraph one line, code in single ticks, and no list of arguments."""
    plain = inspect.cleandoc(text or "").partition("\n\nArgs:")[0].partition("\n\nRaises:")[0].replace("``", "`")
    return "\n\n".join(" ".join(each.split()) for each in plain.split("\n\n"))


def cell(text: str) -> str:
    """Text that stands in one cell of a table."""
    return paragraphs(text).replace("\n\n", " ").replace("|", "\\|")


def attribute_docs(cls: type) -> dict[str, str]:
    """The text below each attribute of a class and of those it comes from."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if each.__module__.partition(".")[0] not in ("evalsuite", "tasks"):
            continue
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0].body  # type: ignore[attr-defined]
        except OSError:  # made by pydantic's create_model
            continue
        for first, second in pairwise(body):
            target = getattr(first, "target", None) or next(iter(getattr(first, "targets", [])), None)
            text = (
                second.value.value if isinstance(second, ast.Expr) and isinstance(second.value, ast.Constant) else None
            )
            if isinstance(target, ast.Name) and isinstance(text, str):
                found[target.id] = text
    return found


def main() -> None:
    """Write the pages that differ from the code."""
    for name, text in pages().items():
        path = ROOT / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/{name}")


if __name__ == "__main__":
    main()
