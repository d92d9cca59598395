"""AdamW for bf16 weights, and with 8-bit states; all else is torch's own.

A bf16 weight has 8 bits: of a step smaller than a 512th of it nothing is left after rounding to the nearest. Stochastic
rounding keeps it on average (Gupta et al. 2015, arXiv:1502.02551; for bf16 training Zamirai et al. 2020,
arXiv:2010.06192). Its random numbers follow from seed, step and parameter, so that copies of a model on several
processes round alike, and a training that goes on rounds as one that was never broken.
"""

import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from tasks.config.numerics import Numerics, Optimizer
from tasks.training.parallel.launch import LaunchPlan

CHUNK = 2**24
"""Numbers that are updated at once: their fp32 copies take memory beside the model."""


def optimizer_class(plan: LaunchPlan, seed: int) -> tuple[Any, dict[str, Any]] | None:
    """The class and its own arguments; None where the trainer's default, torch's AdamW, does what the plan says."""
    import torch

    rounding = {"stochastic_rounding": plan.rounds_stochastically, "seed": seed}
    if plan.optimizer.eight_bit:
        paged = plan.optimizer is Optimizer.PAGED_ADAMW_8BIT
        return adamw_8bit(), {"optim_bits": 8, "is_paged": paged, **rounding}
    if plan.numerics is Numerics.BF16_FP32_STATES:
        return bf16_adamw(), {"state_dtype": torch.float32, **rounding}
    if plan.rounds_stochastically:
        return bf16_adamw(), {"state_dtype": torch.bfloat16, **rounding}
    return None


def optimizer_name(plan: LaunchPlan) -> str:
    """Name of the class that the plan leads to."""
    if plan.strategy.offloads and plan.device == "cuda":
        return "DeepSpeedCPUAdam"
    chosen = optimizer_class(plan, 0)
    return "AdamW" if chosen is None else str(chosen[0].__name__)


def round_stochastically(values: Any, generator: Any) -> Any:
    """Fp32 ``values`` as bf16: up or down, each with the probability that makes the mean right.

    The 16 bits that bf16 lacks are added to a random number of as many bits, and what carries over is kept.
    """
    import torch

    noise = torch.randint(0, 2**16, values.shape, dtype=torch.int32, device=values.device, generator=generator)
    rounded = ((values.view(torch.int32) + noise) & -(2**16)).view(torch.float32)
    return torch.where(values.isfinite(), rounded, values).bfloat16()


def rounding_generator(device: Any, seed: int, step: int, index: int) -> Any:
    """Random numbers of one parameter's step."""
    import torch

    return torch.Generator(device).manual_seed(zlib.crc32(f"{seed}/{step}/{index}".encode()))


@cache
def bf16_adamw() -> Any:
    """The class of AdamW over bf16 weights (torch is imported on the first call)."""
    import torch
    from torch.optim.adamw import adamw

    class Bf16AdamW(torch.optim.Optimizer):  # type: ignore[misc]  # torch is untyped
        """Torch's AdamW in fp32 arithmetic, piece by piece; weights and bf16 states are rounded where they are kept."""

        def __init__(
            self,
            params: Any,
            lr: float = 1e-3,
            betas: tuple[float, float] = (0.9, 0.999),
            eps: float = 1e-8,
            weight_decay: float = 1e-2,
            *,
            state_dtype: Any,
            stochastic_rounding: bool,
            seed: int,
        ) -> None:
            super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
            self.state_dtype, self.stochastic_rounding, self.seed = state_dtype, stochastic_rounding, seed

        @torch.no_grad()  # type: ignore[untyped-decorator]
        def step(self, closure: Callable[[], Any] | None = None) -> Any:
            """Update every parameter that has a gradient."""
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            indexed = ((group, parameter) for group in self.param_groups for parameter in group["params"])
            for index, (group, parameter) in enumerate(indexed):
                if parameter.grad is not None:
                    self._update(parameter, group, index)
            return loss

        def _update(self, parameter: Any, group: dict[str, Any], index: int) -> None:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.tensor(0.0)
                state["exp_avg"] = torch.zeros_like(parameter, dtype=self.state_dtype)
                state["exp_avg_sq"] = torch.zeros_like(parameter, dtype=self.state_dtype)
            generator = None
            if self.stochastic_rounding:
                generator = rounding_generator(_local(parameter).device, self.seed, int(state["step"]), index)
            kept = (parameter, parameter.grad, state["exp_avg"], state["exp_avg_sq"])
            for pieces in zip(*(_pieces(tensor) for tensor in kept), strict=True):
                weight, gradient, first, second = (piece.float() for piece in pieces)
                adamw(
                    [weight],
                    [gradient],
                    [first],
                    [second],
                    [],
                    [state["step"].clone()],
                    foreach=False,
                    amsgrad=False,
                    beta1=group["betas"][0],
                    beta2=group["betas"][1],
                    lr=group["lr"],
                    weight_decay=group["weight_decay"],
                    eps=group["eps"],
                    maximize=False,
                )
                for stored, value in ((pieces[0], weight), (pieces[2], first), (pieces[3], second)):
                    if stored is not value:  # an fp32 piece was changed in place
                        stored.copy_(value if generator is None else round_stochastically(value, generator))
            state["step"] += 1

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            """Load a state; torch's own turns every state into the weights' type, in silence."""
            super().load_state_dict(state_dict)
            for mine, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
                for parameter, number in zip(mine["params"], saved["params"], strict=True):
                    for name, value in state_dict["state"].get(number, {}).items():
                        if name != "step":
                            kept = value.to(device=parameter.device, dtype=self.state_dtype, copy=True)
                            self.state[parameter][name] = kept

    return Bf16AdamW


@cache
def adamw_8bit() -> Any:
    """The class of bitsandbytes' AdamW that can round bf16 weights stochastically."""
    import torch
    from bitsandbytes.optim import AdamW

    class AdamW8bit(AdamW):  # type: ignore[misc]  # bitsandbytes is untyped
        """Bitsandbytes rounds bf16 weights to the nearest: they are shown to it as fp32."""

        def __init__(self, params: Any, *, stochastic_rounding: bool, seed: int, **settings: Any) -> None:
            super().__init__(params, **settings)
            self.stochastic_rounding, self.seed = stochastic_rounding, seed

        @torch.no_grad()  # type: ignore[untyped-decorator]
        def update_step(self, group: dict[str, Any], p: Any, gindex: int, pindex: int) -> None:
            if not self.stochastic_rounding:
                super().update_step(group, p, gindex, pindex)
                return
            weight, gradient = p.data, p.grad
            index = pindex + sum(len(other["params"]) for other in self.param_groups[:gindex])
            generator = rounding_generator(weight.device, self.seed, int(self.state[p]["step"]), index)
            p.grad, p.data = None, weight.float()
            p.grad = gradient.float()
            try:
                super().update_step(group, p, gindex, pindex)
                weight.copy_(round_stochastically(p.data, generator))
            finally:
                p.grad, p.data = None, weight
                p.grad = gradient

    return AdamW8bit


def _local(tensor: Any) -> Any:
    """This process's part."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def _pieces(tensor: Any) -> Iterator[Any]:
    """Views of at most about ``CHUNK`` numbers."""
    import torch

    local = torch.atleast_1d(_local(tensor))
    return iter(local.split(max(1, CHUNK // max(1, local[:1].numel()))))
