"""When a candidate's evaluation may stop.

``evaluate`` depends on this stage's file instead of the policy and the baselines' results, so that a changed margin
evaluates nothing again while no suite is sequential: the file's bytes then stay the same.
"""

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_file, sha256_json, write_json
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.replay import gate_code_sha256
from tasks.config.compare import SequentialParams
from tasks.config.methods import MethodParams, num_candidates
from tasks.config.section import StageSections
from tasks.config.train import TrainParams
from tasks.paths import ArtifactPaths
from tasks.registry.evidence import read_baselines
from tasks.stop_plan import Stopping, StoppingPolicy


class Sections(StageSections):
    """What the stage reads of params.yaml."""

    sequential: SequentialParams = SequentialParams()
    gate: GatePolicy
    methods: dict[str, MethodParams]
    train: TrainParams = TrainParams()


def run(params: Sections, paths: ArtifactPaths) -> Stopping:
    """Write plans/stopping.json.

    Raises:
        UsageError: A sequential suite was not evaluated on a baseline.
        MissingArtifactError: The baselines were not evaluated.
    """
    policy = None
    if params.sequential.suites:
        baselines = read_baselines(paths)
        for role, report in baselines.items():
            unknown = sorted(set(params.sequential.suites) - set(report.suites))
            if unknown:
                raise UsageError(
                    f"sequential.suites names {unknown[0]!r}, which {role} was not evaluated on; suites: "
                    f"{', '.join(sorted(report.suites))}"
                )
        policy = StoppingPolicy(
            params=params.sequential,
            gate=params.gate,
            num_candidates=num_candidates(params.methods, params.train.seed),
            baselines={role: _results_sha256(role, paths) for role in baselines},
            code_sha256=gate_code_sha256(params.gate),
        )
    stopping = Stopping(policy=policy)
    write_json(paths.stopping, stopping)
    return stopping


def _results_sha256(role: str, paths: ArtifactPaths) -> str:
    files = sorted(paths.evals(role).glob("*/*"))
    return sha256_json([(path.relative_to(paths.evals(role)).as_posix(), sha256_file(path)) for path in files])


def stage(params: Sections, paths: ArtifactPaths) -> str:
    """Do the work; returns its summary."""
    policy = run(params, paths).policy
    if policy is None:
        return "every suite is evaluated in full"
    return f"{', '.join(policy.params.suites)}: evaluated until every rule is decided"
