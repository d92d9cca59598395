"""Which files an entry of ``prepare.sources`` stands for, and where they may lie."""

import logging
import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.core.yaml_mistakes import printable
from tasks.config.prepare import PrepareParams, SourceChoice
from tasks.prepare.inputs.hub_files import hub_files

logger = logging.getLogger(__name__)

RAW = Path("data/raw")
ENDINGS = frozenset((".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow"))
"""Of the files that are read in a folder; each may be followed by one of ``COMPRESSED``."""
COMPRESSED = frozenset((".gz", ".zst"))
ABOUT = frozenset(("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"))
"""Files that Hugging Face's datasets and LLaMA-Factory write beside rows."""
PATTERN_MARKS = "*?["
MAX_NAMED = 8


class SourceFile(NamedTuple):
    """One file of rows."""

    name: str
    """How messages and the rows' ``source`` call it: the path from the project's root, or one that begins with hub:."""
    path: Path
    entry: int
    """Position of its entry in ``PrepareParams.entries``."""


def source_files(params: PrepareParams, root: Path, fetch: bool) -> list[SourceFile]:
    """The files of all entries, in their order; those of a folder or a pattern sorted by name.

    Args:
        params: With ``sources``.
        root: Of the project.
        fetch: Download what the hub has and this machine lacks; otherwise it has no files yet.

    Raises:
        UsageError: A file is absent, named twice or outside data/raw, a folder or pattern has none, or the hub has no
            such data set.
        StageError: The hub does not answer.
    """
    found: list[SourceFile] = []
    for entry, source in enumerate(params.entries):
        hub = source.hub
        with _said_of(params.key_of(entry)):
            if hub is not None:
                found += [SourceFile(name, path, entry) for name, path in hub_files(hub, fetch)]
            else:
                found += [SourceFile(name, root / name, entry) for name in _names(source, root)]
    hidden = next((file.name for file in found if not file.name.isprintable()), None)
    if hidden is not None:
        raise UsageError(f"prepare.sources: {printable(hidden)}: no file of rows may have such a name; rename it")
    _refuse_twice(found, params)
    return found


@contextmanager
def _said_of(key: str) -> Iterator[None]:
    """Name the setting that holds the path in what is said of it."""
    try:
        yield
    except UsageError as error:
        raise UsageError(str(error).replace("prepare.sources", key)) from None


def files_there(params: PrepareParams, root: Path) -> list[SourceFile]:
    """The files of those entries that can be read now; asks no network and refuses nothing."""
    found: list[SourceFile] = []
    for source in params.entries:
        with suppress(UsageError):
            alone = params.model_copy(update={"sources": (source,), "replay": None})
            found += source_files(alone, root, fetch=False)
    return found


def file_of(source: str) -> str:
    """The name of the file that a row's ``source`` begins with."""
    return source[: max(source.rfind("#"), source.rfind(":"))]


def _refuse_twice(files: list[SourceFile], params: PrepareParams) -> None:
    entries: dict[str, int] = {}
    for file in files:
        before = entries.setdefault(os.path.normpath(file.name), file.entry)
        if before != file.entry:
            raise UsageError(
                f"{params.key_of(file.entry)}: {file.name} is in {params.entries[before]} and in "
                f"{params.entries[file.entry]}, so that its rows would be read twice; take it out of one of them"
            )


def _names(source: SourceChoice, root: Path) -> list[str]:
    name, path = source.path, root / source.path
    if path.is_dir():
        _check_place(name, root)
        return _in_folder(name, root)
    if any(mark in name for mark in PATTERN_MARKS) and not os.path.lexists(path):
        return _matching(name, root)
    _check_place(name, root)
    _check_file(name, root)
    return [name]


def _in_folder(name: str, root: Path) -> list[str]:
    """Files of rows below a folder; the others are said."""
    found: list[str] = []
    others: list[str] = []
    for path in sorted(_below(root / name, root)):
        if path.name == "README.md":
            continue
        (found if _is_called_rows(path) else others).append(path.relative_to(root).as_posix())
    if not found:
        raise UsageError(
            f"prepare.sources: the folder {name} has no file of rows ({_listed(sorted(ENDINGS))}, each also with "
            f"{' or '.join(sorted(COMPRESSED))}){_instead(others)}; put rows there, or change prepare.sources"
        )
    if others:
        _say_passed_over(name, _listed(others), root)
    return found


@lru_cache
def _say_passed_over(name: str, others: str, root: Path) -> None:
    """Once, however often the folder is looked at."""
    del root  # another project's folder is another one
    logger.warning("passed over in %s, which are not called files of rows or describe them: %s", name, others)


def _below(folder: Path, root: Path) -> Iterator[Path]:
    """Files that are not hidden; a link to a folder is refused, as everywhere."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for each in folders:
            if (Path(where) / each).is_symlink():
                _check_place((Path(where) / each).relative_to(root).as_posix(), root)
        yield from (Path(where) / each for each in files if not each.startswith(".") and not each.endswith(".dvc"))


def _is_called_rows(path: Path) -> bool:
    endings = [ending.lower() for ending in path.suffixes]
    return (
        bool(endings)
        and path.name not in ABOUT
        and (endings[-1] in ENDINGS or (endings[-1] in COMPRESSED and endings[-2:-1] != [".tar"]))
    )


def _matching(pattern: str, root: Path) -> list[str]:
    if Path(pattern).is_absolute():
        raise UsageError(f"prepare.sources: {pattern}: write a pattern from the project's root, such as {RAW}/*.jsonl")
    try:
        matches = sorted(path.relative_to(root).as_posix() for path in root.glob(pattern) if not path.is_dir())
    except ValueError as error:
        raise UsageError(f"prepare.sources: {pattern} is no pattern of file names ({error})") from None
    found = [name for name in matches if not Path(name).name.startswith(".") and not name.endswith(".dvc")]
    if not found:
        folder = Path(*[part for part in Path(pattern).parts if not any(mark in part for mark in PATTERN_MARKS)])
        inside = (root / folder).iterdir() if (root / folder).is_dir() else ()
        there = sorted(path.name for path in inside if not path.name.startswith("."))
        has = f"; {folder} has {_listed(there)}" if there else f"; {folder} has no files"
        raise UsageError(
            f"prepare.sources: no file matches {pattern}{has}; put the rows there, or change prepare.sources"
        )
    for name in found:
        _check_place(name, root)
        _check_file(name, root)
    return found


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(map(printable, names[:MAX_NAMED])) + more


def _instead(names: list[str]) -> str:
    return f", it has {_listed(names)}" if names else ", it is empty"


def _check_place(name: str, root: Path) -> None:
    """Refuse what DVC would not see change.

    DVC reads through links to files in a watched folder, and passes over links to folders.
    """
    path, raw = root / name, Path(os.path.realpath(root / RAW))
    folder = path if path.is_dir() else path.parent
    below = (each for each in (*reversed(folder.parents), folder) if root / RAW in each.parents)
    link = next((each for each in below if each.is_symlink()), None)
    if link is not None:
        linked, target = shlex.quote(str(link.relative_to(root))), os.path.realpath(link)
        raise UsageError(
            f"prepare.sources: {name}: {linked} is a link to {target}, and DVC passes over links to folders, so that "
            f"changed rows would go unnoticed; copy it: `rm {linked} && cp -r {shlex.quote(target)} {linked}`"
        )
    if not Path(os.path.realpath(folder)).is_relative_to(raw):
        raise UsageError(f"prepare.sources: {name} lies outside {RAW}, the folder that DVC watches; move it there")


def _check_file(name: str, root: Path) -> None:
    path = root / name
    if not path.is_file():
        what = f"no file {name}"
        if path.is_symlink():
            what = f"{name} is a link to {path.readlink()}, which does not exist"
        raise UsageError(f"prepare.sources: {what}; put the rows there, or change prepare.sources")


def say_links(files: Iterable[SourceFile], root: Path) -> None:
    """Warn of sources that are links, since git keeps no more of them than that."""
    for name, path, _ in files:
        if path.is_symlink() and path.is_relative_to(root / RAW):
            logger.warning(
                "%s is a link to %s: DVC notices when the rows change, but git keeps the link alone, and another "
                "machine needs the same file there; to keep the rows: `cp --remove-destination %s %s`",
                name,
                os.path.realpath(path),
                shlex.quote(os.path.realpath(path)),
                shlex.quote(name),
            )
