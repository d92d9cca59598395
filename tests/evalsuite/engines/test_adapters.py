"""Adapters on one base in memory."""

from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.engines.base import GenerationRequest
from evalsuite.engines.hf import HFEngine

REQUESTS = [GenerationRequest(f"Question: Where is the {word}? Answer:", (), 10) for word in ("camera", "router", "x")]
PAIRS = [(request.prompt, option) for request in REQUESTS for option in (" here", " the camera is old")]


def make_adapter(base: Path, folder: Path, seed: int, **options: Any) -> Any:
    """A random adapter that moves the model; returns the merged model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM", **options)
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    model.save_pretrained(folder)
    return model.merge_and_unload()


@pytest.mark.parametrize("use_dora", [False, True], ids=["lora", "dora"])
def test_an_adapter_gives_what_its_merged_weights_give(tiny_model: Path, tmp_path: Path, use_dora: bool) -> None:
    merged = make_adapter(tiny_model, tmp_path / "a", 1, use_dora=use_dora)
    adapted = HFEngine.load(tiny_model, "tiny", adapter=tmp_path / "a")
    reference = HFEngine(merged, adapted.tokenizer, "merged")
    assert [a.text for a in adapted.generate(REQUESTS, "x")] == [a.text for a in reference.generate(REQUESTS, "x")]
    expected = [a.value for a in reference.loglikelihoods(PAIRS, "x")]
    assert [a.value for a in adapted.loglikelihoods(PAIRS, "x")] == pytest.approx(expected, abs=1e-3)


def test_a_peft_model_is_evaluated_with_its_adapter(tiny_model: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    merged = make_adapter(tiny_model, tmp_path / "a", 1)
    base = HFEngine.load(tiny_model, "tiny")
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), tmp_path / "a")
    values = [a.value for a in HFEngine(adapted, base.tokenizer, "adapted").loglikelihoods(PAIRS, "x")]
    expected = [a.value for a in HFEngine(merged, base.tokenizer, "merged").loglikelihoods(PAIRS, "x")]
    assert values == pytest.approx(expected, abs=1e-3)
    assert values != pytest.approx([a.value for a in base.loglikelihoods(PAIRS, "x")], abs=1e-3)


def test_base_and_two_adapters_share_the_weights_and_keep_apart(tiny_model: Path, tmp_path: Path) -> None:
    base = HFEngine.load(tiny_model, "tiny")
    alone = [a.value for a in base.loglikelihoods(PAIRS, "x")]
    engines = []
    for seed in (1, 2):
        make_adapter(tiny_model, tmp_path / str(seed), seed)
        engines.append(base.with_adapter(tmp_path / str(seed)))
    assert engines[0].model is engines[1].model is base.model
    assert len({engine.model_identity for engine in (base, *engines)}) == 3
    values = [[a.value for a in engine.loglikelihoods(PAIRS, "x")] for engine in (*engines, base, *engines, base)]
    assert values[:3] == values[3:]
    assert values[2] == pytest.approx(alone, abs=1e-5)
    for value, folder in zip(values[:2], ("1", "2"), strict=True):
        single = HFEngine.load(tiny_model, "tiny", adapter=tmp_path / folder)
        assert value == pytest.approx([a.value for a in single.loglikelihoods(PAIRS, "x")], abs=1e-5)


def test_a_folder_without_an_adapter_says_what_is_missing(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"adapter_config\.json"):
        HFEngine.load(tiny_model, "tiny", adapter=tmp_path)
