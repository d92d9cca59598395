"""A plan as JSON: what the chosen way needs and costs, and what else would do."""

import math
import reprlib
from collections.abc import Sequence
from typing import Any

from evalsuite.core.errors import UsageError
from tasks.planning.advice import Advice, advise_numerics
from tasks.planning.architecture import Architecture
from tasks.planning.choice import (
    Option,
    Request,
    choose,
    choose_with_micro_batch,
    command_line_changes,
    list_options,
    what_fits,
)
from tasks.planning.throughput import CPU_UTILISATION, UTILISATION

MOST = 10**15
"""Of rows, tokens or ranks."""
MEGATRON = "models that need tensor or pipeline parallelism are out of scope: take Megatron-LM"


def make_plan(
    model: Architecture,
    request: Request,
    any_micro_batch: bool,
    advice: Sequence[Advice] = (),
    changes: Sequence[tuple[str, Request]] = (),
) -> tuple[dict[str, Any], Option | None]:
    """Choose, and say why.

    Args:
        model: The architecture.
        request: What is asked for.
        any_micro_batch: Whether ``request.micro_batch`` may be changed.
        advice: What is known beside this.
        changes: What to try where it does not fit, the least first; the command line's options when empty.

    Returns:
        The plan, and the chosen option; None where nothing fits (the plan then describes the nearest miss).
    """
    if any_micro_batch:
        options, chosen = choose_with_micro_batch(model, request)
    else:
        options = list_options(model, request)
        chosen = choose(options)
    shown = chosen or min((each for each in options if not each.fits), key=lambda each: each.memory.total)
    device = request.machines.device
    found = [] if chosen else what_fits(model, changes or command_line_changes(shown.request))
    all_advice = [*advice, *advise_numerics(shown.setup.numerics, request.stochastic_rounding)]
    warnings = [f"{each.text} ({each.source})" for each in all_advice if each.warns]
    if shown.host_bytes:
        warnings.append(f"offloading needs {shown.host_bytes / 2**30:.0f} GiB of memory on each machine")
    plan = {
        "schema_version": 2,
        "family": model.family,
        "parameters": model.parameters,
        "parameters_beside_text": model.beside,
        "active_parameters": model.active_parameters,
        "trained_parameters": shown.setup.trained,
        "method": str(request.kind),
        "machines": request.machines.text,
        "devices": request.machines.devices,
        "available_bytes_per_device": device.memory_bytes,
        "memory_bytes_per_device": {**shown.memory._asdict(), "total": shown.memory.total},
        "host_memory_bytes_per_node": shown.host_bytes,
        "strategy": str(shown.setup.strategy),
        "numerics": str(shown.setup.numerics),
        "optimizer": str(shown.setup.optimizer),
        "gradient_checkpointing": shown.setup.checkpointing,
        "sequence_tokens": shown.request.sequence_tokens,
        "micro_batch_size": shown.request.micro_batch,
        "micro_batches": shown.request.micro_batches,
        "fits": chosen is not None,
        "tokens": request.total_tokens,
        "tokens_per_second": shown.tokens_per_second,
        "bound_by": shown.bound_by,
        "hours": shown.hours,
        "cost": shown.cost,
        "alternatives": [_row(option) for option in options if option is not shown],
        "remedies": [{"change": text, **_row(option)} for text, option in found],
        "warnings": warnings,
        "advice": [{"text": each.text, "source": each.source} for each in all_advice],
        "assumptions": _assumptions(request),
    }
    return plan, chosen


def say_what_is_missing(plan: dict[str, Any]) -> str:
    """One line for a plan that does not fit: how much is missing, and what would do."""
    needed, available = plan["memory_bytes_per_device"]["total"], plan["available_bytes_per_device"]
    would = "; ".join(f"{each['change']} ({each['strategy']}, {each['numerics']})" for each in plan["remedies"])
    return (
        f"{plan['method']} of {plan['parameters'] / 1e9:.2f}B parameters does not fit {plan['machines']}: the least, "
        f"{plan['strategy']} with {plan['numerics']}, needs {needed / 2**30:.1f} GiB a device, and one has "
        f"{available / 2**30:.1f}; " + (f"what fits: {would}" if would else f"nothing tried would fit; {MEGATRON}")
    )


def _row(option: Option) -> dict[str, Any]:
    return {
        "strategy": str(option.setup.strategy),
        "numerics": str(option.setup.numerics),
        "optimizer": str(option.setup.optimizer),
        "method": str(option.request.kind),
        "machines": option.request.machines.text,
        "micro_batch_size": option.request.micro_batch,
        "gradient_checkpointing": option.setup.checkpointing,
        "total_bytes_per_device": option.memory.total,
        "fits": option.fits,
        "hours": option.hours,
        "cost": option.cost,
    }


def _assumptions(request: Request) -> list[str]:
    device = request.machines.device
    if request.tokens_per_second is not None:
        return ["tokens a second as measured"]
    share = UTILISATION if device.cuda else CPU_UTILISATION
    found = [f"{share:.0%} of {device.flops / 1e12:.3g} TFLOP/s a device reached"]
    if device.assumed:
        found.append(f"{device.name}: {device.assumed}")
    return found


def check_rows(request: Request) -> None:
    """Refuse numbers that no training has.

    Raises:
        UsageError: Names the option and its value.
    """
    for option, value in (
        ("--sequence", request.sequence_tokens),
        ("--micro-batch", request.micro_batch),
        ("--batch-size", request.batch_size),
        ("--rank", request.rank),
        ("--tokens and --epochs", request.total_tokens),
    ):
        if not 1 <= value <= MOST:
            raise UsageError(f"{option} = {reprlib.repr(value)}: from 1 to {MOST}")
    if request.price_per_hour is not None and not math.isfinite(request.price_per_hour):
        raise UsageError(f"--price = {request.price_per_hour}: expected an amount of money")
