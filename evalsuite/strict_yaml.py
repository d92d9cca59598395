"""YAML in which every key counts: a repeated key, which YAML readers let overwrite the first, is an error."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from evalsuite.errors import UsageError

MAX_ALIASES = 100
"""More aliases than a policy or params.yaml has use for; nested ones grow without bound when they are read."""


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses repeated keys and many aliases."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._num_aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            self._num_aliases += 1
            if self._num_aliases > MAX_ALIASES:
                raise yaml.constructor.ConstructorError(None, None, f"more than {MAX_ALIASES} aliases", None)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Any, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen and isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} of line {seen[key.value]} is there again in line {line}", None
                )
            if isinstance(key, yaml.ScalarNode):
                seen[key.value] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Parse a file.

    Raises:
        FileNotFoundError: No such file.
        UsageError: Not YAML, a key is there twice, or there are more aliases than ``MAX_ALIASES``.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected a YAML file")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506  a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not YAML as it must be: {error}") from None
