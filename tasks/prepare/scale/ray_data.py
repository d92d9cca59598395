"""Work on the machines of a Ray cluster, by Ray Data.

Rows travel with the work, so that the machines need no common folder, but Ratchet of the same version. What is too
large for the cluster's memory waits on its disks. Held-out items are read on every machine: their files must lie there
under the same path, as they do where the project is a shared folder or is checked out alike.
"""

import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pickle import dumps, loads
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from evalsuite.core.errors import StageError, UsageError
from tasks.prepare.scale.engine import Batch, Result, do, new_token

NEEDED = 'pip install "ratchet[ray]"'
IN_FLIGHT = 64
"""Batches that are handed to Ray before it has given any back."""
PACKED = "packed"
KNOCK_SECONDS = 10.0


class RayData(AbstractContextManager["RayData"]):
    """A cluster, started on this machine or joined."""

    def __init__(self, address: str | None) -> None:
        """Start or join it.

        Args:
            address: ``auto`` or ``ray://HOST:PORT``; one that is started on this machine, and stopped again, when None.

        Raises:
            UsageError: Ray is not installed.
            StageError: There is no cluster at the address.
        """
        try:
            import ray
            import ray.data
        except ImportError:
            raise UsageError(
                f"prepare.engine is ray, and Ray is not installed: `{NEEDED}`, or set prepare.engine: local"
            ) from None
        self._ray: Any = ray
        self._own = not ray.is_initialized()
        if self._own and address is None:
            # The dashboard, and with it a port that others reach, is not started.
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        elif self._own and address is not None:
            try:
                _check_answers(address)
                ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
            except (OSError, ValueError, RuntimeError) as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise StageError(
                    f"prepare.ray_address {address}: no Ray cluster answers there ({reason}); start one (`ray start "
                    "--head`), or correct the address"
                ) from None
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True

    def map(self, work: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        """Batches as blocks of data sets, of ``IN_FLIGHT`` blocks each."""
        import pyarrow as pa

        token, packed = new_token(), dumps(work)

        def on_block(block: Any) -> Any:
            found = [dumps(do(token, packed, loads(each))) for each in block[PACKED].to_pylist()]  # noqa: S301  ours
            return pa.table({PACKED: pa.array(found, pa.large_binary())})

        remaining = iter(batches)
        while blocks := [
            self._ray.put(pa.table({PACKED: pa.array([dumps(batch)], pa.large_binary())}))
            for batch in islice(remaining, IN_FLIGHT)
        ]:
            done = self._ray.data.from_arrow_refs(blocks).map_batches(on_block, batch_format="pyarrow", batch_size=None)
            for block in done.iter_batches(batch_format="pyarrow", batch_size=None):
                yield from (loads(each) for each in block[PACKED].to_pylist())  # noqa: S301  of this work alone

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the cluster that was started here, or leave the one that was joined."""
        if self._own:
            self._ray.shutdown()


def _check_answers(address: str) -> None:
    """Knock at ``HOST:PORT``, since Ray itself tries for minutes.

    Raises:
        OSError: Nobody answers.
        ValueError: It has no port.
    """
    if address == "auto":
        return
    parts = urlsplit(address if "://" in address else f"//{address}")
    if not parts.hostname or parts.port is None:
        raise ValueError("expected auto, HOST:PORT or ray://HOST:PORT")
    socket.create_connection((parts.hostname, parts.port), timeout=KNOCK_SECONDS).close()
