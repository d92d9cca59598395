"""What the README says to type is right."""

import re
import shutil
from pathlib import Path

import pytest

from evalsuite.core.errors import ExitCode
from evalsuite.core.yaml_file import dump_yaml, parse_yaml
from tasks.config.params import load_params
from tasks.paths import ArtifactPaths
from tasks.preflight.checks import problems

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_every_yaml_block_is_yaml() -> None:
    assert len(BLOCKS) >= 4
    for number, block in enumerate(BLOCKS):
        parse_yaml(block, f"block {number}")


def test_the_short_example_passes_every_check_that_comes_before_a_run(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = (block for block in BLOCKS if block.startswith("model:"))
    data = parse_yaml(example, "README.md")
    assert data["model"].pop("revision") == "<commit>"
    data["model"]["id"] = str(tiny_model)
    assert data["evaluation"]["golden"]["bertscore_revision"] == "<commit>"
    data["evaluation"]["golden"]["bertscore_revision"] = "0" * 40
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    shutil.copytree(ROOT / "golden_sets", tmp_path / "golden_sets")
    shutil.copytree(ROOT / "data/raw", tmp_path / "data/raw")
    (tmp_path / "params.yaml").write_text(dump_yaml(data), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    params = load_params(Path("params.yaml"))
    assert problems(params, ArtifactPaths(tmp_path)) == []


def test_every_exit_code_is_in_the_table() -> None:
    table = README.split("| verdict | it says | exit code |")[1].split("\n\n")[0]
    documented = {int(number) for row in table.splitlines()[1:] for number in re.findall(r"\d+", row.split("|")[-2])}
    assert documented >= {int(code) for code in ExitCode}
