"""What a method will need and cost, before anything is spent.

Run:  python -m tasks.plan METHOD
"""

import sys
from typing import Any

from evalsuite.errors import UsageError
from evalsuite.files import read_json, write_json
from tasks.entry import stage_main
from tasks.params import Params
from tasks.paths import ArtifactPaths
from tasks.training.planner import (
    DataCounts,
    memory,
    model_shape,
    steps,
    tokens_per_second,
    trained_parameters,
    warnings,
)

HEADROOM = 1.15
"""Buffers and fragmentation on top of the counted components."""


def run(name: str, params: Params, paths: ArtifactPaths) -> dict[str, Any]:
    """Write plans/NAME.json, and plans/NAME.launch.json, which alone decides how training runs.

    Raises:
        UsageError: The method does not fit in memory; says what would.
        MissingArtifactError: The base model or the prepared data is absent.
    """
    import psutil
    import torch
    from transformers import AutoConfig

    method, train = params.methods[name], params.train
    report = read_json(paths.prepared / "report.json", "ratchet stage prepare")
    counts = report["splits"]["train"]
    data = DataCounts(rows=counts["rows"], tokens=counts["tokens"], longest=counts["longest"])
    read_json(paths.export("base") / "manifest.json", "ratchet stage fetch")
    config = AutoConfig.from_pretrained(paths.export("base"), local_files_only=True, trust_remote_code=False)
    shape = model_shape(config)
    cuda = torch.cuda.is_available()
    needed = memory(shape, method, train, data.longest, cuda)
    if params.hardware.memory_gib is not None:
        available = int(params.hardware.memory_gib * 2**30)
    else:
        available = torch.cuda.get_device_properties(0).total_memory if cuda else psutil.virtual_memory().total
    total = int(HEADROOM * needed.total)
    if total > available:
        raise UsageError(
            f"method {name!r} needs about {total / 2**30:.1f} GiB, the device has {available / 2**30:.1f} GiB; lower "
            "train.micro_batch_size, set train.gradient_checkpointing, or use kind lora or qlora"
        )
    speed = tokens_per_second(shape, method, params.hardware, cuda)
    seconds = data.tokens * method.epochs / speed
    plan = {
        "schema_version": 1,
        "method": name,
        "strategy": "one device",
        "parameters": shape.parameters,
        "trained_parameters": trained_parameters(shape, method),
        "memory_bytes": {**needed._asdict(), "total_with_headroom": total, "available": available},
        "numerics": "mixed (fp32 weights, bf16 compute)" if cuda else "fp32",
        "steps": steps(data.rows, train, method),
        "tokens_per_epoch": data.tokens,
        "tokens": data.tokens * method.epochs,
        "tokens_per_second": speed,
        "tokens_per_second_from": "params" if params.hardware.tokens_per_second else "model FLOPs and device rate",
        "seconds": seconds,
        "cost": seconds / 3600 * params.hardware.price_per_hour,
        "currency": params.hardware.currency,
        "warnings": warnings(method, train, data),
    }
    launch = {
        "schema_version": 1,
        "strategy": "one device",
        "num_processes": 1,
        "device": "cuda" if cuda else "cpu",
        "numerics": plan["numerics"],
    }
    write_json(paths.plans / f"{name}.launch.json", launch)
    write_json(paths.plan(name), plan)
    return plan


def main(arguments: list[str] | None = None) -> int:
    """Run the stage for the method named on the command line."""
    names = sys.argv[1:] if arguments is None else arguments

    def stage(params: Params, paths: ArtifactPaths) -> str:
        if len(names) != 1 or names[0] not in params.methods:
            raise UsageError(f"plan takes one method, got {names}; methods: {', '.join(params.methods)}")
        plan = run(names[0], params, paths)
        lines = [
            f"{names[0]}: {plan['memory_bytes']['total_with_headroom'] / 2**30:.1f} GiB, {plan['steps']} steps, about "
            f"{plan['seconds'] / 60:.1f} min, {plan['cost']:.3f} {plan['currency']}",
            *(f"warning: {text}" for text in plan["warnings"]),
        ]
        return "\n".join(lines)

    return stage_main(stage)


if __name__ == "__main__":
    raise SystemExit(main())
