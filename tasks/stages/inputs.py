"""The stage that always runs: checks what can be checked, brings data, and notes what stages read from outside.

Since it comes before every stage that spends something, an impossible policy, a wrong name or a broken set ends a run
here.
"""

from typing import Any

from tasks.config.params import Params
from tasks.installed.code import write_code
from tasks.installed.pipeline import check_pipeline
from tasks.paths import ArtifactPaths
from tasks.preflight.checks import check_evaluation
from tasks.preflight.outside_inputs import run
from tasks.preflight.remote_inputs import bring
from tasks.prepare.order import chosen_steps

Sections = Params


def stage(params: Params, paths: ArtifactPaths) -> str:
    """Do the work; returns its summary."""
    check_pipeline(paths)
    chosen_steps(params.prepare)
    check_evaluation(params, paths)
    bring(params.evaluation, servers=False)
    files: dict[str, Any] = run(params, paths).files
    write_code(paths)
    keys = {key for found in files.values() for key in found}
    return f"{len(keys)} inputs from outside the project: {', '.join(sorted(keys))}"
