"""Where the ``ratchet`` script starts: signals are answered before anything slow is imported."""

import os
import signal
from types import FrameType

from evalsuite.core.terminal import own_encoding


def _leave(number: int, _frame: FrameType | None) -> None:
    """Nothing was started yet, and an exception inside an import would be a traceback."""
    os.write(2, b"stopped before anything was started\n")
    os._exit(128 + number)


def main() -> None:
    """Run the command line."""
    own_encoding()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    from flows.cli.app import main as run_command

    run_command()


if __name__ == "__main__":
    main()
