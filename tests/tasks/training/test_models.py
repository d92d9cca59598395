"""Models as they are trained."""

from pathlib import Path
from typing import Any

import pytest

from tasks.numerics import Numerics
from tasks.params import MethodKind, MethodParams
from tasks.training.models import adapter_config, load_plain, load_trainable

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

    model: Any = get_peft_model(load_trainable(tiny_model, QLORA, Numerics.FP32), adapter_config(QLORA))
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
    model: Any = get_peft_model(load_plain(tiny_model, torch.float32), adapter_config(method))
    assert model.base_model.model.model.layers[0].mlp.up_proj.scaling == {"default": scale}
