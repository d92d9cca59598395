"""Under torchrun: a worker that trains nothing, waits for SIGTERM and says that it saved.

Run:  torchrun ... -m tests.tasks.training.waiting_worker METHOD   (in the project's folder)
"""

import os
import time
from pathlib import Path

from evalsuite.core.errors import PreemptedError
from tasks.training.parallel.preemption import StopRequest, die_with_parent
from tasks.training.watch.failures import reporting

READY = "ready-{}"


def main() -> int:
    die_with_parent()
    stop, rank = StopRequest(), int(os.environ["RANK"])
    with stop.listening(), reporting(Path("checkpoints"), rank) as result:
        Path(READY.format(rank)).touch()
        while not stop.asked:
            time.sleep(0.01)
        raise PreemptedError("saved")
    return result.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
