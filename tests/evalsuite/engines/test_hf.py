"""The engine against transformers' own generation, one prompt at a time."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import StageError, UsageError
from evalsuite.engines.base import GenerationRequest
from evalsuite.engines.hf import HFEngine

SHOTS = (
    "Question: What organ pumps blood through the body? Answer: the heart. Question: Where is my parcel? Answer: here. "
)


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> HFEngine:
    return HFEngine.load(tiny_model, "tiny", batch_tokens=2_000)


def prompts() -> list[str]:
    alone = ["Where", "The camera is broken", "router " * 40, "Turn the support request into JSON with the keys queue"]
    return alone + [
        SHOTS + f"Question: {word}? Answer:" for word in ("camera", "the router that I ordered", "x", "help me")
    ]


def reference(engine: HFEngine, prompt: str, count: int) -> str:
    ids = engine.tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
    output: Any = engine.model.generate(
        input_ids=ids, attention_mask=ids.new_ones(ids.shape), max_new_tokens=count, do_sample=False
    )
    text: str = engine.tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)
    return text


def test_batches_with_shared_beginnings_give_the_texts_of_one_by_one(engine: HFEngine) -> None:
    requests = [GenerationRequest(prompt, (), 5 + number) for number, prompt in enumerate(prompts())]
    answers = engine.generate(requests, "test")
    assert [answer.text for answer in answers] == [reference(engine, r.prompt, r.max_new_tokens) for r in requests]


def test_the_order_of_requests_does_not_change_their_answers(engine: HFEngine) -> None:
    requests = [GenerationRequest(prompt, (), 8) for prompt in prompts()]
    forward = engine.generate(requests, "test")
    backward = engine.generate(requests[::-1], "test")
    assert [answer.text for answer in forward] == [answer.text for answer in backward[::-1]]


WORDS = [
    "Where",
    "camera",
    "router",
    " ordered",
    "priority",
    '{"queue":',
    "heart",
    "Options:",
    "\n",
    "step by step",
    "x",
]
PROMPTS = st.lists(
    st.builds(
        lambda shots, tail: SHOTS * shots + " ".join(tail),
        st.integers(0, 3),
        st.lists(st.sampled_from(WORDS), min_size=1),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompts=PROMPTS, lengths=st.lists(st.integers(1, 12), min_size=30, max_size=30))
def test_whatever_prompts_share_each_gets_the_text_that_it_gets_alone(
    engine: HFEngine, prompts: list[str], lengths: list[int]
) -> None:
    requests = [GenerationRequest(prompt, (), length) for prompt, length in zip(prompts, lengths, strict=False)]
    answers = engine.generate(requests, "test")
    assert [answer.text for answer in answers] == [reference(engine, r.prompt, r.max_new_tokens) for r in requests]


def test_an_answer_ends_before_its_stop_string(engine: HFEngine) -> None:
    whole = engine.generate([GenerationRequest("Where is my parcel", (), 20)], "test")[0]
    stop = whole.text[6:9]
    cut = engine.generate([GenerationRequest("Where is my parcel", (stop,), 20)], "test")[0]
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finished
    assert cut.num_output_tokens < whole.num_output_tokens


def test_token_counts_are_those_of_the_tokenizer(engine: HFEngine) -> None:
    answer = engine.generate([GenerationRequest("The camera is broken", (), 7)], "test")[0]
    assert answer.num_prompt_tokens == len(engine.tokenizer("The camera is broken")["input_ids"])
    assert answer.num_output_tokens <= 7


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        pytest.param("", "prompt 1 is empty", id="empty"),
        pytest.param("camera " * 3000, "prompt 1: .* do not fit the model's context of 1024", id="long"),
    ],
)
def test_a_prompt_that_cannot_be_answered_is_refused_and_never_cut(engine: HFEngine, prompt: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        engine.generate([GenerationRequest("fine", (), 4), GenerationRequest(prompt, (), 4)], "test")


def test_loglikelihoods_are_those_of_a_plain_forward_pass(engine: HFEngine) -> None:
    import torch

    pairs = [
        ("Where is my parcel", " here"),
        ("The camera", " is broken and old"),
        ("Question: x ", "A"),
        ("", "router"),
    ]
    results = engine.loglikelihoods(pairs, "test")
    for (context, continuation), result in zip(pairs, results, strict=True):
        first, second = engine._encoder.encode_pair(context, continuation)
        with torch.inference_mode():
            logits = engine.model(input_ids=torch.tensor([first + second])).logits[0].float()
        scores = torch.log_softmax(logits[len(first) - 1 : -1], dim=-1)
        assert result.value == pytest.approx(sum(float(scores[i, token]) for i, token in enumerate(second)), abs=1e-4)
        assert result.greedy == (scores.argmax(-1).tolist() == second)


def test_chat_is_rendered_with_the_model_s_own_template(engine: HFEngine) -> None:
    text = engine.render([{"role": "user", "content": "hi"}])
    assert text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_a_model_without_a_chat_template_says_how_to_give_it_one(tiny_model: Path) -> None:
    bare = HFEngine.load(tiny_model, "tiny")
    bare.tokenizer.chat_template = None
    with pytest.raises(UsageError, match=r"model\.chat_template"):
        bare.render([{"role": "user", "content": "hi"}])


def test_a_template_that_refuses_the_turns_is_one_clear_error(tiny_model: Path) -> None:
    strict = HFEngine.load(tiny_model, "tiny")
    strict.tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(
        UsageError, match="refuses turns with the roles system, user: System role not supported; change the items"
    ):
        strict.render([{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_weights_that_are_no_numbers_give_no_answer(tiny_model: Path, temperature: float) -> None:
    import torch

    broken = HFEngine.load(tiny_model, "tiny")
    with torch.no_grad():
        broken.model.model.norm.weight[0] = float("nan")
    with pytest.raises(StageError, match="logits are not finite"):
        broken.generate([GenerationRequest("Where", (), 4, temperature)], "test")
    (answer,) = broken.loglikelihoods([("Where is", " my parcel")], "test")
    assert answer.refusal == "the model gave a log-probability of nan"
    assert answer.value == float("-inf")
