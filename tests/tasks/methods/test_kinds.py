"""What each kind of training says of itself, against the model that it makes."""

from pathlib import Path
from typing import Any

import pytest

from tasks.config.methods import MethodKind, MethodParams
from tasks.config.numerics import Numerics
from tasks.methods.kinds import KINDS, method_of


def test_every_kind_has_its_class() -> None:
    assert set(KINDS) == set(MethodKind)


@pytest.mark.parametrize("kind", MethodKind)
def test_a_kind_that_calls_the_base_frozen_trains_adapters_alone(tiny_model: Path, kind: MethodKind) -> None:
    from peft import get_peft_model

    method = method_of(MethodParams(kind=kind, learning_rate=1e-3))
    model: Any = method.load(tiny_model, Numerics.FP32)
    adapter = method.adapter()
    model = model if adapter is None else get_peft_model(model, adapter)
    trained = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert any(trained.values())
    assert all("lora_" in name for name, grad in trained.items() if grad) == method.frozen
    assert all(trained.values()) != method.frozen
    assert bool(getattr(model, "is_loaded_in_4bit", False)) == method.quantised == method.effective()["quantised"]
