"""What a run shows on the terminal: its phases and its warnings, while the whole log goes to a file."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from evalsuite.core.errors import StageError
from evalsuite.core.terminal import printable

BUSY_CORES = 0.5
"""Of other work: from here on a run is said to take longer."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal would act on; names of files and rows may hold any."""


def others_keep_busy() -> str | None:
    """What other work does to this run's time; None where the cores are free. Looks for a second."""
    cores = psutil.cpu_count() or 1
    busy = psutil.cpu_percent(interval=1.0) / 100 * cores
    if busy < BUSY_CORES:
        return None
    return f"other work keeps {busy:.1f} of {cores} cores busy: this run will take longer than it does alone"


class PhaseHandler(logging.Handler):
    """Prints phases and warnings; any other line stands beside the bar until the next one comes."""

    def __init__(self, console: Console) -> None:
        """Show a bar where ``console`` is a terminal."""
        super().__init__()
        said = TextColumn("{task.description}", markup=False)
        self.bar = Progress(
            BarColumn(), TimeElapsedColumn(), said, console=console, transient=True, disable=not console.is_terminal
        )
        self.done = self.bar.add_task("", total=None)

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, or show it beside the bar; one that cannot be written stops nobody."""
        try:
            self._show(record, CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", printable(record.getMessage())))
        except Exception:
            self.handleError(record)

    def _show(self, record: logging.LogRecord, text: str) -> None:
        number, total = getattr(record, "phase", (None, None))
        if number is not None:
            self.bar.update(self.done, completed=number - 1, total=total)
        if number is not None or record.levelno >= logging.WARNING or text.lower().startswith("warning"):
            self.bar.console.print(text, markup=False, emoji=False)  # `golden/exact:guard:base` holds no sign
        self.bar.update(self.done, description=text.partition("\n")[0][: self.bar.console.width // 2])


@contextmanager
def only_phases_shown(log: Path) -> Iterator[None]:
    """Write what Prefect would print into ``log``, whose path is said at the end, and print the phases instead.

    Enter it after the flow was imported: that import sets Prefect's loggers up.

    Raises:
        StageError: The log cannot be written.
    """
    from prefect.logging.handlers import PrefectConsoleHandler

    root = logging.getLogger()
    consoles = [handler for handler in root.handlers if isinstance(handler, PrefectConsoleHandler)]
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(log, mode="w", encoding="utf-8")
    except OSError as error:
        raise StageError(
            f"no log can be written to {log} ({error.strerror}); `ratchet run --verbose` needs none"
        ) from None
    phases = PhaseHandler(Console(stderr=True, highlight=False, soft_wrap=True))
    for console in consoles:
        file.setFormatter(console.formatter)
        root.removeHandler(console)
    for handler in (file, phases):
        root.addHandler(handler)
    try:
        with phases.bar:
            yield
    finally:
        for handler in (file, phases):
            root.removeHandler(handler)
        for console in consoles:
            root.addHandler(console)
        file.close()
        print(f"log: {log}", file=sys.stderr)
