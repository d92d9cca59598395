"""Ten measured training steps of the chosen setup, with random weights: their speed is that of any others."""

import time
from collections.abc import Mapping
from typing import Any

from evalsuite.core.errors import UsageError
from tasks.config.methods import MethodParams
from tasks.methods.kinds import method_of
from tasks.planning.choice import Option
from tasks.planning.memory import Numerics, Strategy

STEPS, WARM_UP = 10, 2


def measure_tokens_per_second(config: Mapping[str, Any], option: Option) -> float:
    """Forward, backward and AdamW on this machine's device.

    Raises:
        UsageError: The plan is not for this machine alone, or needs weights that are read from a file.
    """
    import torch

    from tasks.planning.meta_device import build

    setup, machines = option.setup, option.request.machines
    cuda = torch.cuda.is_available()
    if machines.devices != 1 or setup.strategy is not Strategy.ONE_DEVICE or cuda != machines.device.cuda:
        here = "1 GPU" if cuda else "cpu"
        raise UsageError(f"--probe measures one device of this machine ({here}), the plan is for {machines.text}")
    if setup.method.quantised:
        raise UsageError("--probe measures full and lora; 4-bit weights are made from a model's files")
    device = "cuda" if cuda else "cpu"
    model = build(config)
    fp32 = setup.numerics in (Numerics.FP32, Numerics.MIXED) and not setup.method.frozen
    model = model.to(device, torch.float32 if fp32 or setup.numerics is Numerics.FP32 else torch.bfloat16).train()
    if setup.method.frozen:
        from peft import get_peft_model

        asked = {"rank": setup.rank, "target_modules": option.request.targets, "use_dora": option.request.dora}
        method = MethodParams.model_validate({"kind": setup.kind, "learning_rate": 1e-5, **asked})
        model = get_peft_model(model, method_of(method).adapter())
    if setup.checkpointing:
        model.gradient_checkpointing_enable()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    shape = (option.request.micro_batch, option.request.sequence_tokens)
    rows = torch.randint(0, int(model.config.get_text_config().vocab_size), shape, device=device)
    started = time.perf_counter()
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            _wait(cuda)
            started = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=setup.numerics is Numerics.MIXED):
            loss = model(input_ids=rows, labels=rows, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    _wait(cuda)
    return STEPS * int(rows.numel()) / (time.perf_counter() - started)


def _wait(cuda: bool) -> None:
    if cuda:
        import torch

        torch.cuda.synchronize()
