"""What every page of ours is made with: one style, one escape rule, and a policy that lets nothing else run.

Templates escape by default, and every text goes through ``visible`` on its way out. A page holds no address; its
content security policy allows our style sheet and, where there is one, our script, by hash, and nothing else.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from evalsuite.report import text

NO_SCRIPT = "none"
"""In the policy's place for the script's hash."""

File = tuple[str, str]
"""A package, and the name of a file in its folder ``templates``."""


def environment(*packages: str) -> jinja2.Environment:
    """Templates of these packages, the first that has one, with our filters."""
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=text.number,
        signed=text.signed,
        duration=text.duration,
        size=text.size,
        count=text.count,
        clip=text.clip,
        humanise=_humanise,
        # JSON in which item_data escaped what could end the element.
        as_script_data=Markup,
    )
    made.globals.update(money=text.money, named_value=text.named_value)
    return made


def inlined(name: str, files: Sequence[File]) -> dict[str, Any]:
    """``name`` and ``name_hash``: the text of these files one after the other, not escaped so that the hash holds."""
    folders = [(resources.files(package) / "templates" / file) for package, file in files]
    whole = "".join(file.read_text(encoding="utf-8") for file in folders)
    digest = base64.b64encode(hashlib.sha256(whole.encode("utf-8")).digest()).decode("ascii")
    return {name: Markup(whole), f"{name}_hash": f"sha256-{digest}"}  # noqa: S704  our own files


def _shown(value: Any) -> Any:
    """What a template expression prints: None as a dash, and no character that hides."""
    if value is None:
        return text.ABSENT
    return text.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _humanise(name: str) -> str:
    return name.replace("_", " ")
