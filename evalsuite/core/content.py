"""What files and folders hold, as one hash each; a file that nobody touched since is not read again."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from evalsuite.core.files import sha256_file, sha256_json, write_json

SKIPPED = frozenset({".git", ".cache", "__pycache__"})
"""Folders in a model's folder that no library reads as a part of the model, and that change by themselves."""
RECENT_SECONDS = 3.0
"""A file that changed just now may change again within the same tick of its clock: its hash is not kept."""

Known = dict[str, tuple[list[int], str]]


class Contents:
    """sha256 of files and folders, with a memory of those whose size, times and inode are what they were."""

    def __init__(self, kept: Path | None = None) -> None:
        """Read what is known from earlier.

        Args:
            kept: JSON file where hashes stay for the next process; it may be deleted at any time.
        """
        self._kept = kept
        self._known: Known = _read(kept) if kept is not None else {}
        self._used: Known = {}

    def of_file(self, path: Path) -> str:
        """Hex sha256 of a file's bytes.

        Raises:
            OSError: The file does not exist or cannot be read.
        """
        name, state = str(path.absolute()), _state(path)
        known = self._known.get(name)
        digest = known[1] if known is not None and known[0] == state else sha256_file(path)
        newest = max(state[1], state[2]) / 1e9
        if state == _state(path) and abs(time.time() - newest) > RECENT_SECONDS:
            self._used[name] = (state, digest)
        return digest

    def of_folder(self, folder: Path) -> str:
        """Hex sha256 over the names and bytes of all files in a folder, links followed.

        Raises:
            OSError: The folder does not exist, or a file in it cannot be read.
        """
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder {folder}")
        return sha256_json([[path.relative_to(folder).as_posix(), self.of_file(path)] for path in _files(folder)])

    def of_path(self, path: Path) -> str:
        """``of_folder`` or ``of_file``, whichever it is."""
        return self.of_folder(path) if path.is_dir() else self.of_file(path)

    def keep(self) -> None:
        """Write what was hashed for the next process; where that cannot be written, it is hashed again."""
        if self._kept is None or self._used == self._known:
            return
        with suppress(OSError):
            write_json(self._kept, {name: [state, digest] for name, (state, digest) in sorted(self._used.items())})


def _state(path: Path) -> list[int]:
    # The inode's own time too: some copying tools set the time of a changed file back.
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted; a loop of links is walked once."""
    seen: set[str] = set()
    found: list[Path] = []
    for where, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        found += [path for name in names if (path := Path(where) / name).is_file()]
    yield from sorted(found)


def _read(path: Path) -> Known:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): ([int(each) for each in state], str(digest)) for name, (state, digest) in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
