"""YAML that people write: what PyYAML reads silently wrong, or expands without end, is refused."""

import re
from pathlib import Path
from typing import Any

import yaml

from evalsuite.errors import UsageError

SURROGATE = re.compile(r"[\ud800-\udfff]")
MAX_NODES = 50_000
"""A larger document, aliases counted at their full size, is refused."""


def read_yaml(path: Path) -> Any:
    """Parse one document of plain values.

    Raises:
        FileNotFoundError: No such file.
        UsageError: A folder, not YAML, a key that is there twice, nesting too deep, aliases that expand too far.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (IsADirectoryError, NotADirectoryError):
        raise UsageError(f"{path} is a folder or below a file, expected a YAML file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not YAML: not UTF-8 at byte {error.start}") from None
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _expanded(node, path, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise UsageError(f"{path} is not YAML that can be read: nested too deeply") from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"{path} is not YAML: {error}") from None


def key_line(path: Path, *keys: str) -> int | None:
    """Line of a key in nested mappings, counted from 1; None where it is not there, or the file cannot be read."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None
    line = None
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next((pair for pair in pairs if pair[0].value == key), None)
        if found is None:
            return None
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _expanded(node: yaml.Node, path: Path, known: dict[int, int]) -> int:
    """Nodes below and with ``node``, aliases at their full size; refuses keys that are there twice."""
    if id(node) in known:
        if not known[id(node)]:
            raise UsageError(f"{path}:{node.start_mark.line + 1}: contains itself through an alias")
        return known[id(node)]
    known[id(node)] = 0
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    line = key.start_mark.line + 1
                    raise UsageError(f"{path}:{line}: key {key.value[:60]!r} is there twice; keep one of them")
                seen.add((key.tag, key.value))
            children += [key, value]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    elif SURROGATE.search(node.value):
        raise UsageError(f"{path}:{node.start_mark.line + 1}: half of a surrogate pair, which is no text")
    size = 1 + sum(_expanded(child, path, known) for child in children)
    if size > MAX_NODES:
        raise UsageError(f"{path}:{node.start_mark.line + 1}: more than {MAX_NODES} values with its aliases expanded")
    known[id(node)] = size
    return size
