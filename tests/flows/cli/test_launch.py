"""``ratchet launch``."""

import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import write_json
from flows.cli.app import app
from tasks.config.launch import Strategy
from tasks.training.parallel.launch import LaunchPlan, Node, agent_command

ROOT = Path(__file__).parents[3]
PLAN = LaunchPlan(
    strategy=Strategy.FSDP2, num_processes=4, num_nodes=2, device="cpu", numerics="fp32", trained_parameters=1
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    data = yaml.safe_load((ROOT / "params.yaml").read_text())
    data["launch"] = {"strategy": "fsdp2", "processes_per_node": 2, "nodes": 2}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATCHET_RENDEZVOUS", "")
    monkeypatch.setenv("RATCHET_NODE_RANK", "")
    return tmp_path


def launch(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["launch", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_dry_run_prints_every_nodes_command_and_a_slurm_file(project: Path) -> None:
    write_json(project / "plans" / "full.launch.json", PLAN)
    lines = launch("full", "--dry-run", "--rendezvous", "gpu1:29500").splitlines()
    assert lines[0] == "# node 0 of 2"
    assert lines[1].endswith(" -m tasks.stage train full")
    assert shlex.split(lines[3]) == agent_command("full", PLAN, Node(1, "gpu1:29500"), 120)
    assert "#SBATCH --nodes=2" in lines


def test_what_is_missing_for_a_launch_is_named(project: Path) -> None:
    with pytest.raises(UsageError, match=r"no method 'other' in params\.yaml; methods: full, lora"):
        launch("other", "--dry-run")
    with pytest.raises(MissingArtifactError, match=r"plans/full\.launch\.json; make it with `ratchet stage plan@full`"):
        launch("full", "--dry-run")
    write_json(project / "plans" / "full.launch.json", PLAN)
    with pytest.raises(UsageError, match=r"launch\.rendezvous is missing"):
        launch("full", "--dry-run")
