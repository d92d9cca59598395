"""Adapters beside frozen weights, as they are trained."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from evalsuite.core.errors import UsageError
from tasks.config.methods import MethodKind, MethodParams
from tasks.config.numerics import Numerics
from tasks.methods.kinds import method_of
from tasks.methods.loading import load_plain
from tasks.planning.meta_device import count_trained

QLORA = MethodParams(kind=MethodKind.QLORA, learning_rate=1e-3, rank=4)


def gradients(model: Any) -> dict[str, Any]:
    import torch

    model.train()
    model.zero_grad()
    ids = torch.arange(20)[None]
    model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_an_evaluation_leaves_the_gradients_of_a_quantised_model_as_they_were(tiny_model: Path) -> None:
    import torch
    from peft import get_peft_model

    model: Any = get_peft_model(method_of(QLORA).load(tiny_model, Numerics.FP32), method_of(QLORA).adapter())
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = 0.1 * torch.randn_like(parameter.data.float())
    before = gradients(model)
    model.eval()
    with torch.no_grad():
        model(input_ids=torch.arange(20)[None], use_cache=False)
    after = gradients(model)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("rslora", "scale"), [(False, 8 / 4), (True, 8 / 4**0.5)])
def test_an_update_is_scaled_by_alpha_over_the_rank_or_over_its_root(
    tiny_model: Path, rslora: bool, scale: float
) -> None:
    import torch
    from peft import get_peft_model

    method = MethodParams(kind=MethodKind.LORA, learning_rate=1e-3, rank=4, lora_alpha=8, use_rslora=rslora)
    model: Any = get_peft_model(load_plain(tiny_model, torch.float32), method_of(method).adapter())
    assert model.base_model.model.model.layers[0].mlp.up_proj.scaling == {"default": scale}


@pytest.mark.parametrize(
    ("targets", "text"),
    [
        (["q_proj", "absent"], r"\['q_proj', 'absent'\]: 'absent' matches nothing; linear modules: down_proj, "),
        (["proj"], r"'proj' matches nothing"),
        ("q_proj", r"'q_proj' matches nothing \(a text is a pattern of whole names; put names into a list\)"),
        (["mlp"], r"model\.layers\.0\.mlp is a LlamaMLP, which takes no adapter"),
        (["norm"], r"model\.norm is a LlamaRMSNorm, which takes no adapter"),
        (".*", r"the whole model is a LlamaForCausalLM, which takes no adapter"),
        (["lm_head"], r"lm_head shares its weight with the model's other end \(tie_word_embeddings\)"),
        (["embed_tokens"], r"model\.embed_tokens shares its weight"),
    ],
)
def test_targets_that_match_nothing_or_take_no_adapter_are_refused_by_name(
    tiny_model: Path, targets: Any, text: str
) -> None:
    from transformers import AutoConfig

    method = MethodParams(kind=MethodKind.LORA, learning_rate=1e-3, target_modules=targets)
    with pytest.raises(UsageError, match=rf"^target_modules = .*{text}"):
        count_trained(AutoConfig.from_pretrained(tiny_model), method)


@pytest.mark.parametrize(
    ("targets", "modules"),
    [
        (["q_proj", "layers.1.mlp.up_proj"], 3),
        (r".*layers\.0\..*_proj", 7),
        (["lm_head"], 1),
        (["q_proj", "q_proj"], 2),
    ],
)
def test_targets_are_matched_as_peft_matches_them(tiny_model: Path, targets: Any, modules: int) -> None:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(tiny_model, tie_word_embeddings=False)
    method = MethodParams(kind=MethodKind.LORA, learning_rate=1e-3, rank=1, target_modules=targets)
    widths = {"q_proj": 64 + 64, "layers.1.mlp.up_proj": 64 + 128, "lm_head": 64 + config.vocab_size}
    by_hand = {3: 2 * widths["q_proj"] + widths["layers.1.mlp.up_proj"], 1: widths["lm_head"], 2: 2 * widths["q_proj"]}
    by_hand[7] = 2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128)
    assert count_trained(config, method) == by_hand[modules]


@pytest.mark.parametrize("targets", ["", [], "(["])
def test_targets_that_can_match_nothing_are_refused_as_they_are_read(targets: Any) -> None:
    with pytest.raises(ValidationError, match=r"expected module names|no regular expression"):
        MethodParams(kind=MethodKind.LORA, learning_rate=1e-3, target_modules=targets)
