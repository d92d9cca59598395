"""Predicted against measured peak memory of training on a CPU.

Run:  python -m benchmarks.memory [--only NAME ...]

Each configuration trains a few optimizer steps in a process of its own, with the trainer and the settings of
``tasks.training.worker``: AdamW, fp32, gradients accumulated, logits at supervised positions. Measured is the peak of
resident memory (ru_maxrss) less what the process held when everything was imported and nothing loaded; predicted is
``tasks.planning.memory.peak`` less its allowance for exactly that. SmolLM2-135M comes from its wheel (``ratchet stage
fetch`` exports it); the larger model is random, with the shape below.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tasks.allocator import keep_freed_memory
from tasks.params import MethodKind
from tasks.planning.architecture import count_parameters, read_config
from tasks.planning.memory import CONTEXT_BYTES, Numerics, Setup, peak

BAR = 0.15
STEPS = 2
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
    trained = model.parameters if case.kind is MethodKind.FULL else model.adapter_parameters(16)
    setup = Setup(
        kind=case.kind,
        trained=trained,
        rank=16,
        numerics=Numerics.FP32,
        tokens=case.rows * case.tokens,
        loss_tokens=case.rows * case.supervised,
        checkpointing=case.checkpointing,
        cuda=False,
    )
    return peak(model, setup).total - CONTEXT_BYTES["cpu"]


def train(case: Case, folder: Path) -> int:
    """In this process; bytes of the peak above the imports."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig
    from trl import SFTConfig

    from tasks.training.examples import IGNORED
    from tasks.training.supervised import supervised_trainer

    trainer_class = supervised_trainer()
    torch.manual_seed(0)
    torch.nn.functional.cross_entropy(torch.zeros(2, 4, requires_grad=True), torch.tensor([0, 1])).backward()
    tokenizer: Any = AutoTokenizer.from_pretrained(SMOLLM2, local_files_only=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if case.larger:
        fields = {name: value for name, value in LARGER.items() if name != "model_type"}
        model: Any = AutoModelForCausalLM.from_config(LlamaConfig(**fields))
    else:
        model = AutoModelForCausalLM.from_pretrained(SMOLLM2, dtype=torch.float32, local_files_only=True)
    ids = torch.randint(10, 30000, (4 * case.rows * STEPS, case.tokens)).tolist()
    labels = [[IGNORED] * (case.tokens - case.supervised) + row[case.tokens - case.supervised :] for row in ids]
    adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", bias="none", task_type="CAUSAL_LM")
    trainer = trainer_class(
        model=model,
        args=SFTConfig(
            output_dir=str(folder),
            per_device_train_batch_size=case.rows,
            gradient_accumulation_steps=4,
            max_steps=STEPS,
            bf16=False,
            activation_checkpointing=case.checkpointing,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            use_cpu=True,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(
            [{"input_ids": row, "labels": label} for row, label in zip(ids, labels, strict=True)]
        ),
        processing_class=tokenizer,
        peft_config=adapter if case.kind is MethodKind.LORA else None,
    )
    trainer.train()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def main() -> int:
    """Print the table, then one ratio: the bar over the largest relative error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--worker", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        keep_freed_memory()  # as a training does
        with tempfile.TemporaryDirectory() as folder:
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
