"""Work on rows in batches: here, in several processes, or on several machines (``tasks.prepare.scale.ray_data``).

Results come in the order of the rows, so that they are the same wherever they were worked out.
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from multiprocessing import get_context, parent_process
from pickle import dumps, loads
from threading import Thread
from types import TracebackType
from typing import Any, Protocol, TypeVar

from evalsuite.core.errors import StageError
from tasks.data.formats import Row
from tasks.prepare.scale.stored import BATCH_ROWS, Rows, unpack

Batch = TypeVar("Batch")
Result = TypeVar("Result")
Each = TypeVar("Each")
MANY_ROWS = 50_000
"""From here the start of other processes, which load Ratchet anew, is worth its second or two."""
WAITING = 3
"""Batches a process that wait or are worked on, so that memory holds no more of them."""
_works: dict[str, Any] = {}
"""What this process was given to do, so that an index is built once and not for each batch."""
_tokens = itertools.count()


class Engine(Protocol):
    """Where work is done."""

    def map(self, work: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        """What ``work`` makes of each batch, in their order.

        Args:
            work: Can be pickled. An object that builds something on its first call keeps it for later ones.
            batches: Asked for as work goes on.
        """


class InProcess:
    """Work in this process."""

    def map(self, work: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        """One batch after the other."""
        return map(work, batches)


class Processes(AbstractContextManager["Processes"]):
    """Work in several processes of this machine, which start with the first work."""

    def __init__(self, count: int) -> None:
        """Start no process yet."""
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def map(self, work: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        """Some batches at a time.

        Raises:
            StageError: A process was killed.
        """
        # A process that was forked may wait for ever for a thread that it does not have.
        self._pool = self._pool or ProcessPoolExecutor(self.count, get_context("spawn"), _end_with_parent)
        token, packed = new_token(), dumps(work)
        waiting: deque[Future[Result]] = deque()
        try:
            for batch in batches:
                waiting.append(self._pool.submit(do, token, packed, batch))
                if len(waiting) >= WAITING * self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise StageError(
                f"one of the {self.count} processes that prepare rows was killed, as a machine does that is out of "
                "memory; set prepare.processes to fewer, then `ratchet stage prepare`"
            ) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the processes; what waits is not begun."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _end_with_parent() -> None:
    """End this process with the one that started it, however that ends: a killed one cannot say goodbye."""
    parent = parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        Thread(target=wait, daemon=True).start()


def new_token() -> str:
    """Names one work among all of all processes."""
    return f"{os.getpid()}-{next(_tokens)}"


def do(token: str, work: bytes, batch: Any) -> Any:
    """Work on a batch in another process; ``work`` is the pickled callable, read once for each ``token``."""
    if token not in _works:
        _works.clear()
        _works[token] = loads(work)  # noqa: S301  of the process that started this one
    return _works[token](batch)


class _OnRows:
    """Work on rows, done on packed ones."""

    def __init__(self, work: Callable[[Sequence[Row]], Sequence[Each]]) -> None:
        self._work = work

    def __call__(self, batch: list[bytes]) -> Sequence[Any]:
        return self._work([unpack(each) for each in batch])


def on_batches(engine: Engine, work: Callable[[Sequence[Row]], Result], rows: Sequence[Row]) -> Iterator[Result]:
    """What ``work`` makes of some rows at a time, in their order; few rows do not leave this process.

    Args:
        engine: Where it is done.
        work: Can be pickled.
        rows: In a file or in memory.
    """
    if isinstance(rows, Rows):
        where = engine if len(rows) >= MANY_ROWS else InProcess()
        return where.map(_OnRows(work), rows.packed())  # type: ignore[arg-type]
    batches = (rows[at : at + BATCH_ROWS] for at in range(0, len(rows), BATCH_ROWS))
    return InProcess().map(work, batches)


def on_each(engine: Engine, work: Callable[[Sequence[Row]], Sequence[Each]], rows: Sequence[Row]) -> Iterator[Each]:
    """The same for work that makes one thing of each row."""
    return itertools.chain.from_iterable(on_batches(engine, work, rows))
