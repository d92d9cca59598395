"""A whole project with a tiny model: real git, real DVC, real stages."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from demo.copies import copy_sources
from evalsuite.core.files import sha256_file, write_json
from evalsuite.engines.base import GenerationRequest
from tasks.dvc_command import dvc_command, stage_environment

ROOT = Path(__file__).parents[2]
NUM_TEST = 80


def make_project(root: Path, tiny_model: Path) -> Path:
    """A repository whose golden answers are the tiny model's own: base scores 1.0, damaged weights score about 0.0."""
    root.mkdir(parents=True)
    copy_sources(ROOT, root)
    for name in (".gitignore", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(tiny_model, root / "tiny", ignore=shutil.ignore_patterns("manifest.json"))
    write_golden(root / "golden_sets/own", tiny_model)
    rows = [{"prompt": f"Where is order {n}?", "completion": f"It is here {n}."} for n in range(40)]
    (root / "data/raw").mkdir(parents=True)
    shutil.copytree(ROOT / "data/suites", root / "data/suites", ignore=lambda _, names: set(names) - {"README.md"})
    (root / "data/raw/rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_json(root / "registry/champion.json", {"schema_version": 1, "champion": None})
    write_params(root, learning_rate=1e-7)
    _run(root, "git", "init", "-q")
    dvc(root, "init", "-q")
    (root / ".dvc/config").write_text((ROOT / ".dvc/config").read_text())
    _run(root, "git", "add", "-A")
    _run(root, "git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "start")
    return root


def write_params(root: Path, learning_rate: float, price: float = 0.1, margin: float = 0.1) -> None:
    """params.yaml with one method whose learning rate decides whether it keeps or loses what the base can do."""
    guard = {"suite": "golden", "metric": "exact_match", "kind": "guard", "margin": margin}
    params = {
        "model": {"id": "tiny"},
        "prepare": {"sources": ["data/raw/rows.jsonl"], "max_length_tokens": 256},
        "hardware": {"price_per_hour": price},
        "methods": {"full": {"kind": "full", "learning_rate": learning_rate, "epochs": 1}},
        "train": {"batch_size": 8, "micro_batch_size": 8, "select_metric": "exact_match"},
        "evaluation": {"golden": {"path": "golden_sets/own", "max_new_tokens": 6}, "harness": {"tasks": {}}},
        "contamination": {"max_fraction": 0.5},
        "launch": {"processes_per_node": 1},
        "sequential": {"suites": []},
        "compare": {"metric": "exact_match"},
        "gate": {"rules": [guard]},
        "promote": {"automatic": True},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def write_golden(folder: Path, model: Path) -> None:
    """A set whose right answers are the model's own."""
    from evalsuite.engines.hf import HFEngine

    engine = HFEngine.load(model, "tiny")
    folder.mkdir(parents=True)
    files = {}
    for split, count in (("dev", 10), ("test", NUM_TEST)):
        turns: list[list[dict[str, str]]] = [[{"role": "user", "content": f"{split} ask {n}"}] for n in range(count)]
        answers = engine.generate([GenerationRequest(engine.render(turn), (), 6) for turn in turns], split)
        items: list[dict[str, Any]] = [
            {
                "id": f"{split}-{n}",
                "messages": turn,
                "references": [answer.text if answer.text.strip() else "(nothing)"],
                "metrics": ["exact_match"],
                "slices": {"half": "first" if n < count / 2 else "second"},
            }
            for n, (turn, answer) in enumerate(zip(turns, answers, strict=True))
        ]
        path = folder / f"{split}.jsonl"
        path.write_text("".join(json.dumps(item) + "\n" for item in items))
        files[path.name] = {"sha256": sha256_file(path), "n": count}
    own = {"schema_version": 1, "name": "own", "version": "1", "licence": "none", "source": "the tiny model"}
    write_json(folder / "manifest.json", {**own, "files": files})


def dvc(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """DVC as a user runs it, in the project's environment."""
    return _run(root, *dvc_command(*arguments))


def ratchet(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line on this project's own copy of the sources."""
    import sys

    environment = {**stage_environment(), "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=root,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )


def _run(root: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(command, cwd=root, env=stage_environment(), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done
