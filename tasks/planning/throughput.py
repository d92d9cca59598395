"""How long a training takes: model FLOPs over the device's rate, or over a speed that was measured.

A token costs 6 FLOPs for each parameter that works on it, forward and backward (Kaplan et al. 2020, arXiv:2001.08361,
section 2.1), and 4 where the weights are frozen, since their gradients are not computed. Attention adds 12 times layers
times width times half the context (Chowdhery et al. 2022, arXiv:2204.02311, appendix B). Checkpointing computes the
forward pass again: a third more, or half more with frozen weights.
"""

from typing import NamedTuple

from tasks.planning.architecture import Architecture
from tasks.planning.hardware import HOST_LINK_BYTES, NODE_LINK_BYTES, Machines
from tasks.planning.memory import Setup, Strategy

UTILISATION = 0.4
"""Model FLOPs over the device's rate: 38-43% with Llama 3 405B (Dubey et al. 2024, arXiv:2407.21783, table 4)."""
CPU_UTILISATION = 0.45
"""Of the GEMM rate, measured with SmolLM2-135M on two cores."""


class Speed(NamedTuple):
    """Of all devices together."""

    tokens_per_second: float
    bound_by: str
    """computing, links between devices, or the host's memory."""


def flops_per_token(model: Architecture, setup: Setup, context_tokens: int) -> float:
    """Of training, without what checkpointing computes again."""
    frozen = setup.method.frozen
    width = sum(block.repeats * block.attention_width for block in model.blocks)
    attention = (8 if frozen else 12) * width * context_tokens / 2
    return (4 if frozen else 6) * model.active_parameters + attention


def estimate_speed(
    model: Architecture, setup: Setup, machines: Machines, context_tokens: int, micro_batches: int
) -> Speed:
    """Computing overlaps with links between devices; what goes through the host's memory does not.

    Args:
        model: The architecture.
        setup: How it runs; ``setup.tokens`` are those of a micro-batch on one device.
        machines: Where.
        context_tokens: Of one example, for the attention's share.
        micro_batches: Of one optimizer step, on one device.
    """
    flops = flops_per_token(model, setup, context_tokens)
    if setup.checkpointing:
        flops *= 1.5 if setup.method.frozen else 4 / 3
    flops *= setup.method.slowdown
    utilisation = UTILISATION if machines.device.cuda else CPU_UTILISATION
    tokens = setup.tokens * micro_batches
    computing = tokens * flops / (machines.device.flops * utilisation)
    linking = _link_bytes(model, setup, micro_batches) / _link_rate(machines)
    offloading = _host_link_bytes(model, setup, micro_batches) / HOST_LINK_BYTES
    seconds = max(computing, linking) + offloading
    bound = {"computing": computing, "links between devices": linking, "the host's memory": offloading}
    return Speed(tokens * setup.devices / seconds, max(bound, key=lambda name: bound[name]))


def _link_rate(machines: Machines) -> float:
    inside = machines.device.link_bytes_per_second
    return inside if machines.nodes == 1 else min(inside, NODE_LINK_BYTES)


def _link_bytes(model: Architecture, setup: Setup, micro_batches: int) -> float:
    """Bytes that one device sends in an optimizer step (ZeRO, section 7: twice the parameters, or three times)."""
    if setup.devices == 1:
        return 0.0
    share = (setup.devices - 1) / setup.devices
    if setup.strategy.splits_weights:
        gathered = 2 * 2 * model.parameters
        return share * micro_batches * (gathered + 2 * setup.trained)
    width = 4 if setup.strategy is Strategy.DATA_PARALLEL else 2
    return share * 2 * width * setup.trained


def _host_link_bytes(model: Architecture, setup: Setup, micro_batches: int) -> float:
    """Bytes between one device and its host in an optimizer step (ZeRO-Offload, section 4)."""
    if not setup.strategy.offloads:
        return 0.0
    moved = 4 * setup.trained / setup.devices
    if setup.strategy is Strategy.ZERO3_OFFLOAD:
        moved += micro_batches * 2 * 2 * model.parameters / setup.devices
    return moved
