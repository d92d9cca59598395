"""What is retried."""

from typing import Any, cast

import pytest
from prefect.states import Failed

from evalsuite.core.errors import BusyError, MissingArtifactError, NotComparableError, StageError, UsageError
from tasks.prefect_tasks import _a_retry_can_help


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (UsageError("params.yaml lacks a section"), False),
        (NotComparableError("other prompts"), False),
        (BusyError("another run"), False),
        (StageError("no space left on the disk"), True),
        (MissingArtifactError("no file"), True),
        (ConnectionError("reset by peer"), True),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, helps: bool) -> None:
    assert _a_retry_can_help(cast(Any, None), cast(Any, None), Failed(data=error)) is helps
