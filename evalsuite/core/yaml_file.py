"""YAML that people write, read as DVC reads it: ruamel.yaml, YAML 1.2, plain values alone.

A second parser would give other values for the same file. What DVC's parser takes and nobody means is refused here:
keys that appear twice, values that contain themselves, documents that expand or nest without end.
"""

import io
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter

from evalsuite.core.errors import UsageError
from evalsuite.core.yaml_mistakes import check_commas, explain_mistake, place, printable

MAX_NODES = 50_000
"""A larger document, aliases counted at their full size, is refused."""
MAX_DEPTH = 100
"""The parser, which is C, ends the process at about 50,000 levels."""
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
RESERVED = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that some version of YAML reads as something else than text."""


def read_yaml(path: Path) -> Any:
    """Parse one document of plain values; see ``parse_yaml``.

    Raises:
        FileNotFoundError: There is no such file.
        UsageError: A folder, not UTF-8, or what ``parse_yaml`` refuses.
    """
    return parse_yaml(_text(path), path)


def parse_yaml(text: str, where: Path | str) -> Any:
    """Parse one document of plain values, exactly as DVC does; None for an empty file.

    Args:
        text: The document.
        where: The file's name, for errors.

    Raises:
        UsageError: Not YAML, a key that appears twice, nesting too deep, aliases that expand too far; with line, column
            and how to fix it.
    """
    node: Any = None
    try:
        _check_depth(text, where)
        node = YAML(typ="safe").compose(text)
        if node is not None:
            _expanded(node, where, {})
        return YAML(typ="safe").load(text)
    except UsageError:
        raise
    except YAMLError as error:
        raise UsageError(explain_mistake(error, text, where)) from None
    except Exception as error:  # numbers and dates are made by Python, which fails in its own ways
        raise UsageError(_unmade(error, node, where)) from None


def key_line(path: Path, *keys: str) -> int | None:
    """Line of a key in nested mappings, counted from 1; None where it is not there, or the file cannot be read."""
    try:
        text = _text(path)
        _check_depth(text, path)
        node = YAML(typ="safe").compose(text)
    except (OSError, UsageError, YAMLError):
        return None
    line = None
    for key in keys:
        pairs = node.value if isinstance(node, MappingNode) else []
        found = next((pair for pair in pairs if pair[0].value == key), None)
        if found is None:
            return None
        line, node = int(found[0].start_mark.line) + 1, found[1]
    return line


def dump_yaml(value: Any, in_one_line: bool = False) -> str:
    """Plain values as YAML in their own order; parsers of YAML 1.1 and 1.2 read the same from it.

    Args:
        value: Mappings, lists, texts, numbers, truths and None.
        in_one_line: In brackets and in ASCII, for a message that shows a line to add.
    """
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = in_one_line
    yaml.allow_unicode = not in_one_line
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 2**20
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


class _Representer(SafeRepresenter):
    """Quotes every text that is not plainly one: ``1234e5``, the start of a hash, is a number to YAML 1.2 alone."""

    def represent_str(self, data: str) -> Any:
        plain = PLAIN.fullmatch(data) and data.lower() not in RESERVED
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')

    def represent_float(self, data: float) -> Any:
        text = repr(data)
        if "e" in text and "." not in text:
            text = text.replace("e", ".0e")  # YAML 1.1 reads 1e-05 as text
        special = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}
        return self.represent_scalar("tag:yaml.org,2002:float", special.get(text, text))

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Representer.add_representer(str, _Representer.represent_str)
_Representer.add_representer(float, _Representer.represent_float)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (IsADirectoryError, NotADirectoryError):
        raise UsageError(f"{path} is a folder or lies below a file, expected a YAML file") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None


def _check_depth(text: str, where: Path | str) -> None:
    depth = 0
    for event in YAML(typ="safe").parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UsageError(f"{place(event.start_mark, where)}: nested too deeply, more than {MAX_DEPTH} levels")


def _expanded(node: Any, where: Path | str, known: dict[int, int]) -> int:
    """Nodes below and with ``node``, aliases at their full size; refuses keys that appear twice."""
    if id(node) in known:
        if not known[id(node)]:
            raise UsageError(f"{place(node.start_mark, where)}: contains itself through an alias")
        return known[id(node)]
    known[id(node)] = 0
    children: list[Any] = []
    if isinstance(node, MappingNode | SequenceNode) and node.flow_style:
        check_commas(node, where)
    if isinstance(node, MappingNode):
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            if isinstance(key, ScalarNode):
                same = (str(key.tag), key.value)
                if same in seen:
                    spot = place(key.start_mark, where)
                    raise UsageError(f"{spot}: key {key.value[:60]!r} appears twice; keep one of them")
                seen.add(same)
            children += [key, value]
    elif isinstance(node, SequenceNode):
        children = node.value
    size = 1 + sum(_expanded(child, where, known) for child in children)
    if size > MAX_NODES:
        raise UsageError(f"{place(node.start_mark, where)}: more than {MAX_NODES} values with its aliases expanded")
    known[id(node)] = size
    return size


def _unmade(error: Exception, node: Any, where: Path | str) -> str:
    """What is said of a value that is YAML by its form and that Python cannot make, such as the 45th of a month."""
    scalar = _first_unmade(node)
    if isinstance(error, UnicodeEncodeError):
        line = error.object.count("\n", 0, error.start) + 1
        return f"{where}:{line}: not YAML: half of a surrogate pair, which is not valid text; remove it"
    if scalar is None:
        return f"{where}: not YAML: {printable(str(error))}"
    value = printable(scalar.value if len(scalar.value) <= 40 else scalar.value[:40] + "...")
    kind = str(scalar.tag).rpartition(":")[2]
    return (
        f"{place(scalar.start_mark, where)}: {value} looks like a value of type {kind} and is not one "
        f'({printable(str(error)).split(";")[0]}); if it is a text, quote the value: "{value}"'
    )


def _first_unmade(node: Any) -> Any:
    pending, seen = [node], set()
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, ScalarNode):
            try:
                YAML(typ="safe").constructor.construct_object(each, deep=True)
            except Exception:
                return each
        elif isinstance(each, SequenceNode):
            pending += reversed(each.value)
        elif isinstance(each, MappingNode):
            pending += [part for pair in reversed(each.value) for part in reversed(pair)]
    return None
