"""Progress: a bar on a terminal, one line per quarter elsewhere."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that counts finished items; shows the time left."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(escape(label), total=total)
            yield lambda count: bar.advance(task, count)
        return
    started, done = time.monotonic(), 0

    def advance(count: int) -> None:
        nonlocal done
        before, done = done, done + count
        if 4 * before // total < 4 * done // total < 4:
            left = (time.monotonic() - started) * (total - done) / done
            logger.info("%s: %d of %d, about %.0f s left", label, done, total, left)

    yield advance
