"""What training reads, checked, and the names of it that its checkpoints depend on."""

import importlib.metadata
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.errors import UsageError
from evalsuite.files import read_json, sha256_file
from evalsuite.identity import read_manifest
from tasks.params import Params
from tasks.paths import ArtifactPaths
from tasks.training.checkpoints import FINGERPRINT, digest
from tasks.training.epoch_eval import DevRunner
from tasks.training.examples import Example, read_examples
from tasks.training.launch import LaunchPlan

TRAINING_SOURCES = ("examples.py", "models.py", "order.py", "strategies.py", "trainer.py", "worker.py")
"""Modules of tasks/training that decide the weights."""
TRAINING_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "deepspeed")


class Inputs(NamedTuple):
    """Everything that can be wrong before the first step."""

    tokenizer: Any
    train: list[Example]
    dev: list[Example]
    dev_runner: DevRunner


def read_inputs(name: str, params: Params, paths: ArtifactPaths) -> Inputs:
    """Read and check tokenizer, rows and golden dev set.

    Raises:
        UsageError: A row or the golden set is not as it must be.
        MissingArtifactError: An earlier stage's output is absent.
    """
    from transformers import AutoTokenizer

    base = paths.export("base")
    tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    train = read_examples(paths.prepared / "train.jsonl", tokenizer, params.train.max_length_tokens)
    dev = read_examples(paths.prepared / "dev.jsonl", tokenizer, params.train.max_length_tokens)
    runner = DevRunner(params.evaluation, params.train.select_metric, base, params.methods[name], tokenizer)
    return Inputs(tokenizer, train, dev, runner)


def fingerprint(name: str, params: Params, paths: ArtifactPaths, plan: LaunchPlan) -> dict[str, str]:
    """What the checkpoints depend on."""
    base = paths.export("base")
    return {
        "method": digest(params.methods[name].model_dump(mode="json")),
        "train": digest(params.train.model_dump(mode="json")),
        "evaluation": digest(params.evaluation.golden.model_dump(mode="json")),
        "plan": digest(plan.model_dump(mode="json")),
        "train rows": sha256_file(paths.prepared / "train.jsonl"),
        "dev rows": sha256_file(paths.prepared / "dev.jsonl"),
        "base model": read_manifest(base, "ratchet stage fetch").identity,
        "code": digest([sha256_file(Path(__file__).parent / source) for source in TRAINING_SOURCES]),
        "libraries": ", ".join(f"{library} {importlib.metadata.version(library)}" for library in TRAINING_LIBRARIES),
    }


def check_same_inputs(name: str, params: Params, paths: ArtifactPaths, plan: LaunchPlan) -> None:
    """Refuse a process whose rows, model, code or libraries differ from those of the stage that it belongs to.

    Raises:
        UsageError: Names what differs on this machine.
    """
    stage = read_json(paths.checkpoints(name) / FINGERPRINT, f"ratchet stage train@{name}")
    own = fingerprint(name, params, paths, plan)
    different = sorted(key for key in {*stage, *own} if stage.get(key) != own.get(key))
    if different:
        raise UsageError(
            f"{', '.join(different)} of this machine differ from the stage's on node 0; all nodes must see the same "
            "project folder and have the same packages (requirements.lock)"
        )
