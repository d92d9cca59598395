"""Answers of one model on disk: append-only, safe against kills, and never trusted without its checksum."""

import json
import logging
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.files import sha256_json

logger = logging.getLogger(__name__)

BUSY_SECONDS = 30.0
READ_AT_ONCE = 500
"""SQLite allows a limited number of parameters in one statement."""


class StoredAnswer(NamedTuple):
    """One row."""

    answer: dict[str, Any]
    """Fields of a ``Generation`` or a ``Loglikelihood``."""
    seconds: float
    """Wall time that it took: since the answer before it, so that a run's rows add up to the run."""


class AnswerStore:
    """A SQLite file for one model; several processes may use it at the same time.

    Each answer is committed by itself through the write-ahead log: a killed process loses only what it was computing.
    A damaged file is set aside with a warning and a new one begun; a row whose checksum is wrong is computed again; a
    store that cannot be written leaves the evaluation to go on without it.
    """

    def __init__(self, folder: Path, model_identity: str) -> None:
        """Open or begin the model's file in ``folder``; damage is found here."""
        self.path = folder / f"{sha256_json(model_identity)[:32]}.sqlite"
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = self._open()
        except sqlite3.OperationalError as error:
            self._give_up(error)
        except sqlite3.DatabaseError as error:
            self._begin_anew(error)
        except OSError as error:
            self._give_up(error)

    @property
    def is_open(self) -> bool:
        """Whether answers are kept; not where the file cannot be used."""
        return self._connection is not None

    def read(self, keys: Collection[str]) -> dict[str, StoredAnswer]:
        """The answers that are there, by key."""
        found: dict[str, StoredAnswer] = {}
        wanted = sorted(keys)
        for begin in range(0, len(wanted), READ_AT_ONCE):
            part = wanted[begin : begin + READ_AT_ONCE]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, answer, seconds, checksum FROM answers WHERE key IN ({marks})"  # noqa: S608  marks only
            for key, answer, seconds, checksum in self._run(query, part):
                if checksum == sha256_json([key, answer, seconds]):
                    found[key] = StoredAnswer(json.loads(answer), seconds)
                else:
                    logger.warning("%s: an answer fails its checksum and is computed again", self.path)
        return found

    def write(self, key: str, stored: StoredAnswer) -> None:
        """Store one answer, at once; one that is there already stays unless it is damaged."""
        answer = json.dumps(stored.answer)
        row = (key, answer, stored.seconds, sha256_json([key, answer, stored.seconds]))
        self._run("INSERT OR REPLACE INTO answers (key, answer, seconds, checksum) VALUES (?, ?, ?, ?)", row)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self, statement: str, values: Any) -> list[Any]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            self._give_up(error)
        except sqlite3.DatabaseError as error:
            self._begin_anew(error)
        return []

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()  # SQLite itself would let no group write, whatever the umask is
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("it fails SQLite's check")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS answers "
                "(key TEXT PRIMARY KEY, answer TEXT NOT NULL, seconds REAL NOT NULL, checksum TEXT NOT NULL)"
            )
            connection.execute("SELECT key, answer, seconds, checksum FROM answers LIMIT 1").fetchall()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _begin_anew(self, error: sqlite3.Error) -> None:
        self.close()
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        logger.warning("%s is damaged (%s): set aside as %s, its answers are computed again", self.path, error, aside)
        try:
            self.path.replace(aside)
            for ending in ("-wal", "-shm"):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
            self._connection = self._open()
        except (sqlite3.Error, OSError) as second:
            self._give_up(second)

    def _give_up(self, error: Exception) -> None:
        self.close()
        logger.warning("%s cannot be used (%s): the work goes on without it", self.path, error)


def open_store(folder: Path | None, model_identity: str) -> AnswerStore | None:
    """The store of a model, or None where no folder is given."""
    return None if folder is None else AnswerStore(folder, model_identity)
