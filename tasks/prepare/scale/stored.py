"""Rows in a file instead of in memory, so that a million of them take no more of it than a thousand.

A row is packed by ``marshal``, which is fast, knows what JSON knows and runs no code when it is read. The file has no
name (it is gone with the process, however that ends) and is read by the process that wrote it alone.
"""

import errno
import marshal
import os
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import IO, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from evalsuite.core.errors import StageError
from tasks.data.formats import Row
from tasks.objectives.objective import Objective
from tasks.objectives.sft import Sft
from tasks.prepare.scale.heads import Head, head_of, pack_head, unpack_heads

BATCH_BYTES = 1 << 20
BATCH_ROWS = 2048
GAP_BYTES = 1 << 16
"""Rows that are so near to one another are read at once, with what lies between."""


class PackedRows(NamedTuple):
    """Some rows as bytes."""

    rows: list[bytes]
    heads: list[bytes]
    """What is kept beside each of them (``tasks.prepare.scale.heads``)."""


def pack_all(rows: Iterable[Row], objective: Objective) -> PackedRows:
    """Rows and what is kept beside them.

    Raises:
        ValueError: One holds something that is no JSON value.
        TypeError: The same in a field that the objective learns from.
    """
    rows = list(rows)
    return PackedRows([marshal.dumps(tuple(row)) for row in rows], [pack_head(head_of(row, objective)) for row in rows])


def unpack(packed: bytes) -> Row:
    """A row of its own, which nobody else sees change."""
    return Row._make(marshal.loads(packed))  # noqa: S302  bytes of ``pack_all`` alone


class RowFile:
    """Packed rows, one behind the other, and in a second file what is kept beside them."""

    def __init__(self, folder: Path | None = None) -> None:
        """Open files without a name in ``folder``, or where the system keeps temporary files."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self.rows = _Records(folder)
        self.heads = _Records(folder)
        self._origins = array("q")

    def __len__(self) -> int:
        """How many records it has."""
        return len(self._origins)

    def extend(self, packed: PackedRows, origin: int | None = None) -> int:
        """Add rows; returns the record of the first.

        Args:
            packed: The rows.
            origin: The record that they are changed forms of; each is its own when None.

        Raises:
            StageError: The disk is full.
        """
        record = len(self._origins)
        self.rows.extend(packed.rows)
        self.heads.extend(packed.heads)
        records = range(record, record + len(packed.rows))
        self._origins.extend(records if origin is None else [self._origins[origin]] * len(records))
        return record

    @property
    def origins(self) -> NDArray[np.int64]:
        """For each record the one that was read from a source."""
        return np.array(self._origins, dtype=np.int64)


class _Records:
    """Byte strings in a file without a name."""

    def __init__(self, folder: Path | None) -> None:
        self._stream = tempfile.TemporaryFile(dir=folder, buffering=BATCH_BYTES)  # noqa: SIM115  open as long as its rows
        weakref.finalize(self, _close, self._stream)
        self._folder = folder
        self._ends = array("q", [0])
        self._written = 0

    def extend(self, packed: Sequence[bytes]) -> None:
        try:
            self._stream.write(b"".join(packed))
        except OSError as error:
            raise self._full(error) from None
        self._ends.extend(islice(accumulate(map(len, packed), initial=self._ends[-1]), 1, None))

    def read(self, records: NDArray[np.int64]) -> Iterator[list[bytes]]:
        """Some at a time, in the order of ``records``."""
        self._flush()
        ends = np.frombuffer(self._ends, dtype=np.int64)
        starts, stops = ends[records], ends[records + 1]
        del ends  # an array that numpy looks at cannot grow
        at = 0
        while at < len(records):
            upto = at + 1 + _together(starts[at : at + BATCH_ROWS], stops[at : at + BATCH_ROWS])
            begin = int(starts[at])
            block = os.pread(self._stream.fileno(), int(stops[upto - 1]) - begin, begin)
            yield [
                block[start - begin : stop - begin]
                for start, stop in zip(starts[at:upto].tolist(), stops[at:upto].tolist(), strict=True)
            ]
            at = upto

    def one(self, record: int) -> bytes:
        self._flush()
        begin, end = self._ends[record], self._ends[record + 1]
        return os.pread(self._stream.fileno(), end - begin, begin)

    def _flush(self) -> None:
        if self._written != self._ends[-1]:
            try:
                self._stream.flush()
            except OSError as error:
                raise self._full(error) from None
            self._written = self._ends[-1]

    def _full(self, error: OSError) -> Exception:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return error
        where = self._folder or tempfile.gettempdir()
        return StageError(
            f"no space left in {where} for the rows that are being prepared ({self._ends[-1] / 1e9:.1f} GB so far); "
            "make room for as much again as prepare.sources have, then `ratchet stage prepare`"
        )


def _close(stream: IO[bytes]) -> None:
    with suppress(OSError):  # what a full disk did not take is of no use to anybody
        stream.close()


def _together(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> int:
    """How many rows behind the first are read with it."""
    near = (starts[1:] >= stops[:-1]) & (starts[1:] - stops[:-1] < GAP_BYTES) & (stops[1:] - starts[0] <= BATCH_BYTES)
    return int(near.size if near.all() else near.argmin())


class Rows(Sequence[Row]):
    """Some rows of a file, each made anew whenever it is asked for."""

    def __init__(self, file: RowFile, records: NDArray[np.int64]) -> None:
        """Name the rows.

        Args:
            file: Where they are.
            records: Which they are, in their order.
        """
        self.file = file
        self.records = records

    @classmethod
    def of(cls, rows: Iterable[Row], objective: Objective = Sft()) -> "Rows":  # noqa: B008  immutable
        """Write rows to a new file, with what is kept beside them for an objective."""
        file = RowFile()
        file.extend(pack_all(rows, objective))
        return cls(file, np.arange(len(file)))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.records)

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> "Rows": ...
    def __getitem__(self, at: int | slice) -> "Row | Rows":
        """One row, or some."""
        if isinstance(at, slice):
            return Rows(self.file, self.records[at])
        return unpack(self.file.rows.one(int(self.records[at])))

    def __iter__(self) -> Iterator[Row]:
        """All, with no more than a batch of them in memory."""
        for batch in self.packed():
            yield from map(unpack, batch)

    def packed(self) -> Iterator[list[bytes]]:
        """All as bytes, a batch at a time."""
        return self.file.rows.read(self.records)

    def heads(self) -> Iterator[Head]:
        """What is kept beside each."""
        return unpack_heads(chain.from_iterable(self.file.heads.read(self.records)))

    @property
    def origins(self) -> NDArray[np.int64]:
        """The record that each was when it was read from a source."""
        return self.file.origins[self.records]


def only(rows: Sequence[Row], places: Sequence[int]) -> Sequence[Row]:
    """The rows at these places; none of them comes into memory for it where they are in a file."""
    if isinstance(rows, Rows):
        return Rows(rows.file, rows.records[np.asarray(places, dtype=np.int64)])
    return [rows[at] for at in places]
