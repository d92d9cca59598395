"""A small project with real git and real DVC: one stage copies a folder of bytes into models/full/export."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from evalsuite.core.files import write_json
from evalsuite.core.identity import write_manifest
from evalsuite.gate.policy import GatePolicy
from evalsuite.testing import make_item, make_result
from tasks.dvc_command import dvc_command, stage_environment
from tasks.paths import ArtifactPaths
from tasks.registry.evidence import run as run_gate
from tests.tasks.clean import write_clean

ROOT = Path(__file__).parents[3]
POLICY = {"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1}]}
STAGE = {
    "cmd": "rm -rf models/full/export && mkdir -p models/full && cp -r src models/full/export",
    "deps": ["src"],
    "outs": ["models/full/export"],
}


def make_project(root: Path) -> ArtifactPaths:
    """An empty registry, a local remote, and weights named ``first`` that the gate lets pass."""
    root.mkdir(parents=True)
    for command in (["git", "init", "-q"], dvc_command("init", "-q")):
        subprocess.run(command, cwd=root, check=True)
    shutil.copy(ROOT / ".dvc/config", root / ".dvc/config")
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    (root / "params.yaml").write_text(yaml.safe_dump({**params, "gate": POLICY}))
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": STAGE}}))
    paths = ArtifactPaths(root)
    write_json(paths.comparison, {"candidate": "full", "methods": [{"name": "full"}]})
    paths.export("base").mkdir(parents=True)
    (paths.export("base") / "model.safetensors").write_text("base")
    write_results(paths, "base", write_manifest(paths.export("base"), source="test").identity)
    train(paths, "first")
    return paths


def train(paths: ArtifactPaths, weights: str, champion: str | None = None) -> str:
    """New weights, their results and the gate's decision about them; returns their identity."""
    source = paths.root / "src"
    source.mkdir(exist_ok=True)
    (source / "model.safetensors").write_text(weights)
    (source / "config.json").write_text("{}")
    identity = write_manifest(source, source="test").identity
    run_dvc(paths.root, "repro", "-q")
    write_results(paths, "full", identity)
    if champion is not None:
        write_results(paths, "champion", champion)
    pin = {"identity": champion} if champion else None
    inputs = weights.encode().hex().ljust(64, "0")
    write_json(paths.baseline_pin, {"schema_version": 1, "inputs_sha256": inputs, "champion": pin})
    write_clean(paths, "golden")
    run_gate(GatePolicy.model_validate(POLICY), paths)
    return identity


def write_results(paths: ArtifactPaths, model: str, identity: str, num_right: int = 80) -> None:
    """Eighty items, the first ``num_right`` of them answered right."""
    items = [make_item(f"i{n}", {"exact": float(n < num_right)}) for n in range(80)]
    make_result(items, model_identity=identity).write(paths.evals(model) / "golden")


def run_dvc(root: Path, *arguments: str) -> None:
    """DVC, which must succeed."""
    subprocess.run(dvc_command(*arguments), cwd=root, env=stage_environment(), check=True, capture_output=True)


def start_promotion(root: Path, locale: dict[str, str] | None = None, dry_run: bool = False) -> "subprocess.Popen[str]":
    """A promotion in a process of its own."""
    code = (
        "import sys; from evalsuite.core.terminal import own_encoding; own_encoding();"
        "from pathlib import Path; from tasks.config.params import PromoteParams;"
        "from tasks.paths import ArtifactPaths; from tasks.registry.promote import promote;"
        "print(promote(ArtifactPaths(Path(sys.argv[1])), PromoteParams(), dry_run=bool(sys.argv[2])).summary)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(locale or {})}
    command = [sys.executable, "-c", code, str(root), "yes" if dry_run else ""]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def lose_bytes(paths: ArtifactPaths) -> None:
    """Delete workspace and cache, so that only the remote is left."""
    for folder in (paths.root / "models", paths.registry / "models", paths.root / ".dvc/cache", paths.root / "src"):
        kept = {path: path.read_bytes() for path in folder.glob("*.dvc")}
        shutil.rmtree(folder)
        for path, data in kept.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
