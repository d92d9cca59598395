"""Files of rows: where they may lie, whether they can be trained on, and their rows."""

import logging
import os
import shlex
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.data.formats import BadRow, Row, read_rows
from tasks.data.keys import ignore_advice
from tasks.paths import ArtifactPaths
from tasks.prepare.personal.names import check_file_names
from tasks.prepare.rows import group_of, row_rules

logger = logging.getLogger(__name__)

RAW = Path("data/raw")
FIRST_ROWS = 20


def check_sources(params: PrepareParams, paths: ArtifactPaths) -> None:
    """Refuse sources that cannot be trained on, by their first rows alone, so that it takes no time.

    Raises:
        UsageError: A source is absent, a folder, empty or outside data/raw, none of its first rows can be read, or it
            lacks ``group_by``.
    """
    if row_rules(params).quiet:
        check_file_names(params.sources)
    for name in params.sources:
        path = paths.root / name
        _check_place(name, paths.root)
        first = list(islice(read_rows(path, name, row_rules(params)), FIRST_ROWS))
        if not first:
            raise UsageError(
                f"prepare.sources: {name} is empty; expected one JSON object per line: put rows there, or remove the "
                "file from prepare.sources"
            )
        good = [entry for entry in first if isinstance(entry, Row)]
        if not good and isinstance(first[0], BadRow):
            raise UsageError(
                f"prepare.sources: none of the first {len(first)} rows of {name} can be read; {first[0].source}: "
                f"{first[0].reason}; {_remedy(first, params) or 'fix the file'}, then `ratchet stage prepare`"
            )
        for row in good:
            group_of(row, params.group_by, paths)


def _check_place(name: str, root: Path) -> None:
    """Refuse a source that is not a file, or that DVC would not see change.

    DVC reads through links to files in a watched folder, and passes over links to folders.
    """
    path, raw = root / name, Path(os.path.realpath(root / RAW))
    folder = path if path.is_dir() else path.parent
    if not Path(os.path.realpath(folder)).is_relative_to(raw):
        below = (each for each in (*reversed(folder.parents), folder) if root / RAW in each.parents)
        link = next((each for each in below if each.is_symlink()), None)
        if link is None:
            raise UsageError(f"prepare.sources: {name} lies outside {RAW}, the folder that DVC watches; move it there")
        linked, target = shlex.quote(str(link.relative_to(root))), os.path.realpath(link)
        raise UsageError(
            f"prepare.sources: {name}: {linked} is a link to {target}, and DVC passes over links to folders, so that "
            f"changed rows would go unnoticed; copy it: `rm {linked} && cp -r {shlex.quote(target)} {linked}`"
        )
    if not path.is_file():
        what = f"{name} is a folder, expected a file of rows" if path.is_dir() else f"no file {name}"
        if path.is_symlink():
            what = f"{name} is a link to {path.readlink()}, which does not exist"
        raise UsageError(f"prepare.sources: {what}; put the rows there, or change prepare.sources")


def say_links(names: Iterable[str], root: Path) -> None:
    """Warn of sources that are links, since git keeps no more of them than that."""
    for name in names:
        if (root / name).is_symlink():
            logger.warning(
                "%s is a link to %s: DVC notices when the rows change, but git keeps the link alone, and another "
                "machine needs the same file there; to keep the rows: `cp --remove-destination %s %s`",
                name,
                os.path.realpath(root / name),
                shlex.quote(os.path.realpath(root / name)),
                shlex.quote(name),
            )


def _remedy(entries: Iterable[Row | BadRow], params: PrepareParams) -> str:
    """The line of params.yaml with which rows with unknown keys are read; empty where there are none."""
    unknown = {key for entry in entries if isinstance(entry, BadRow) for key in entry.unknown}
    return ignore_advice(unknown, params.ignore_keys) if unknown else ""


def read_sources(params: PrepareParams, root: Path) -> tuple[list[Row], list[BadRow]]:
    """All rows of all sources, in their order.

    Raises:
        UsageError: More of them are bad than ``prepare.max_bad_fraction`` allows.
    """
    rows: list[Row] = []
    bad: list[BadRow] = []
    for name in params.sources:
        for entry in read_rows(root / name, name, row_rules(params)):
            if isinstance(entry, Row):
                rows.append(entry)
            else:
                bad.append(entry)
    total = len(rows) + len(bad)
    if len(bad) > params.max_bad_fraction * total:
        listed = "\n".join(f"  {row.source}: {row.reason}" for row in bad[:5])
        remedy = _remedy(bad, params)
        raise UsageError(
            f"{len(bad)} of {total} rows are bad, prepare.max_bad_fraction allows {params.max_bad_fraction}; fix them "
            f"or raise it. The first:\n{listed}" + (f"\nUnknown keys of all rows: {remedy}" if remedy else "")
        )
    return rows, bad
