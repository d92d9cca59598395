"""AdamW over bf16 weights and with 8-bit states, against torch's own in fp32."""

from typing import Any

import pytest
import torch

from tasks.config.numerics import Numerics, Optimizer
from tasks.training.optim import optimizers
from tasks.training.optim.optimizers import bf16_adamw, optimizer_class, round_stochastically
from tasks.training.parallel.launch import LaunchPlan

SMALL_STEP = 1e-5


def plan(numerics: Numerics, optimizer: Optimizer = Optimizer.ADAMW, rounding: bool = True) -> LaunchPlan:
    return LaunchPlan(
        device="cpu", numerics=numerics, optimizer=optimizer, stochastic_rounding=rounding, trained_parameters=1
    )


def build(parameter: torch.nn.Parameter, chosen: LaunchPlan, lr: float) -> Any:
    found = optimizer_class(chosen, seed=0)
    kind, more = found or (torch.optim.AdamW, {})
    return kind([parameter], lr=lr, weight_decay=0.1, **more)


def gradients(steps: int, shape: tuple[int, ...] = (64, 128)) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    slope = torch.randn(shape, generator=generator)
    return [slope + torch.randn(shape, generator=generator) for _ in range(steps)]


def weights(shape: tuple[int, ...] = (64, 128)) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def train(optimizer: Any, parameter: torch.nn.Parameter, grads: list[torch.Tensor]) -> torch.Tensor:
    for grad in grads:
        parameter.grad = grad.to(parameter.dtype)
        optimizer.step()
    return parameter.detach().float()


def moved(chosen: LaunchPlan, lr: float, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """How far bf16 weights went, and how far torch's AdamW takes fp32 ones from the same start."""
    start = weights().bfloat16()
    ours, exact = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.float())
    grads = [grad.bfloat16().float() for grad in gradients(steps)]
    found = train(build(ours, chosen, lr), ours, grads)
    return found - start.float(), train(torch.optim.AdamW([exact], lr=lr, weight_decay=0.1), exact, grads) - start


@pytest.mark.parametrize("chunk", [2**24, 256])
def test_over_fp32_weights_it_is_torchs_adamw_bit_for_bit(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "CHUNK", chunk)
    ours, theirs = torch.nn.Parameter(weights()), torch.nn.Parameter(weights())
    kind = bf16_adamw()([ours], lr=1e-3, weight_decay=0.1, state_dtype=torch.float32, stochastic_rounding=True, seed=0)
    exact = torch.optim.AdamW([theirs], lr=1e-3, weight_decay=0.1, foreach=False)
    assert torch.equal(train(kind, ours, gradients(5)), train(exact, theirs, gradients(5)))


def test_updates_of_1e_5_vanish_in_pure_bf16() -> None:
    found, exact = moved(plan(Numerics.PURE_BF16, rounding=False), SMALL_STEP, steps=40)
    large = weights().abs() > 0.01  # a step of 1e-5 is below a 512th of these
    assert exact[large].abs().mean() > 1e-4
    assert found[large].abs().max() == 0.0


@pytest.mark.parametrize(
    ("numerics", "optimizer", "tolerance"),
    [
        (Numerics.BF16_FP32_STATES, Optimizer.ADAMW, 0.05),
        (Numerics.PURE_BF16, Optimizer.ADAMW, 0.05),
        (Numerics.BF16_FP32_STATES, Optimizer.ADAMW_8BIT, 0.1),
    ],
)
def test_with_stochastic_rounding_they_arrive_on_average(
    numerics: Numerics, optimizer: Optimizer, tolerance: float
) -> None:
    found, exact = moved(plan(numerics, optimizer), SMALL_STEP, steps=100)
    # Over 8,192 weights the noise of rounding averages out: the step along fp32's own direction must be its length.
    assert float((found * exact).sum() / (exact * exact).sum()) == pytest.approx(1.0, abs=tolerance)


def test_fp32_states_follow_torchs_where_bf16_ones_round_to_the_nearest() -> None:
    parameter, exact = (torch.nn.Parameter(weights().to(kind)) for kind in (torch.bfloat16, torch.float32))
    grads = [grad.bfloat16().float() for grad in gradients(50)]
    ours = build(parameter, plan(Numerics.BF16_FP32_STATES), 1e-5)
    theirs = torch.optim.AdamW([exact], lr=1e-5)
    train(ours, parameter, grads)
    train(theirs, exact, grads)
    for name in ("exp_avg", "exp_avg_sq"):
        assert ours.state[parameter][name].dtype is torch.float32
        torch.testing.assert_close(ours.state[parameter][name], theirs.state[exact][name])


def test_rounding_is_right_on_average_and_leaves_what_bf16_has() -> None:
    values = torch.full((200_000,), 1.0 + 0.25 / 128)
    rounded = round_stochastically(values, torch.Generator().manual_seed(0)).float()
    assert set(rounded.tolist()) == {1.0, 1.0 + 1 / 128}
    assert float((rounded > 1.0).float().mean()) == pytest.approx(0.25, abs=0.005)
    exact = torch.tensor([0.0, -1.5, float("inf"), float("-inf"), 2.0**-130])
    assert torch.equal(round_stochastically(exact, torch.Generator()).float(), exact)
    assert round_stochastically(torch.tensor([float("nan")]), torch.Generator()).isnan().all()
    mean = float(round_stochastically(-values, torch.Generator()).float().mean())
    assert mean == pytest.approx(-1.0 - 0.25 / 128, abs=1e-4)


@pytest.mark.parametrize(
    ("numerics", "optimizer"),
    [
        (Numerics.BF16_FP32_STATES, Optimizer.ADAMW),
        (Numerics.PURE_BF16, Optimizer.ADAMW),
        (Numerics.BF16_FP32_STATES, Optimizer.ADAMW_8BIT),
        (Numerics.MIXED, Optimizer.ADAMW_8BIT),
    ],
)
def test_what_was_saved_goes_on_bit_for_bit(numerics: Numerics, optimizer: Optimizer, tmp_path: Any) -> None:
    kind = torch.bfloat16 if numerics.bf16_weights else torch.float32
    whole, broken = (torch.nn.Parameter(weights().to(kind)) for _ in range(2))
    grads = gradients(6)
    expected = train(build(whole, plan(numerics, optimizer), 1e-3), whole, grads)
    first = build(broken, plan(numerics, optimizer), 1e-3)
    train(first, broken, grads[:3])
    torch.save(first.state_dict(), tmp_path / "optimizer.pt")
    second = build(broken, plan(numerics, optimizer), 1e-3)
    second.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    assert torch.equal(train(second, broken, grads[3:]), expected)


def test_eight_bit_states_take_two_bytes_a_parameter_and_are_close_to_fp32() -> None:
    ours, exact = torch.nn.Parameter(weights()), torch.nn.Parameter(weights())
    optimizer = build(ours, plan(Numerics.MIXED, Optimizer.ADAMW_8BIT), 1e-3)
    found = train(optimizer, ours, gradients(20)) - weights()
    true = train(torch.optim.AdamW([exact], lr=1e-3, weight_decay=0.1), exact, gradients(20)) - weights()
    assert float((found - true).norm() / true.norm()) < 0.05
    state = optimizer.state[ours]
    held = sum(state[name].numel() * state[name].itemsize for name in ("state1", "state2", "absmax1", "absmax2"))
    assert held == pytest.approx(Optimizer.ADAMW_8BIT.state_bytes(Numerics.MIXED) * ours.numel(), rel=1e-6)
