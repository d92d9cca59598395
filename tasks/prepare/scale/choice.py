"""Where the work of a preparation is done."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.config.prepare import PrepareParams
from tasks.prepare.scale.engine import Engine, InProcess, Processes


@contextmanager
def engine_of(params: PrepareParams) -> Iterator[Engine]:
    """What ``prepare.engine`` and ``prepare.processes`` ask for, while it is needed.

    Raises:
        UsageError: ``engine: ray``, and Ray is not installed.
    """
    if params.engine == "ray":
        from tasks.prepare.scale.ray_data import RayData

        with RayData(params.ray_address) as ray:
            yield ray
        return
    processes = params.processes or len(os.sched_getaffinity(0))
    if processes == 1:
        yield InProcess()
        return
    with Processes(processes) as pool:
        yield pool
