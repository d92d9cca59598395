"""What is to blame when a training cannot go on."""

import errno
from pathlib import Path

import pytest

from tasks.training.state.continuity import has_another_cause


@pytest.mark.parametrize(
    ("error", "another"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (PermissionError(errno.EACCES, "Permission denied", "models/full/live/metrics.json"), True),
        (FileNotFoundError(errno.ENOENT, "No such file", "checkpoints/full/checkpoint-8/optimizer.pt"), False),
        (OSError(errno.EIO, "Input/output error"), False),
        (ValueError("invalid header"), False),
    ],
)
def test_no_checkpoint_is_called_unreadable_for_a_full_disk_or_a_file_elsewhere(
    error: Exception, another: bool
) -> None:
    assert has_another_cause(error, Path("checkpoints/full/checkpoint-8")) is another
