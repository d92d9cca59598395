"""What a method will need and cost, before anything is spent.

Run:  python -m tasks.plan METHOD
"""

import sys
from typing import Any, Literal

from evalsuite.errors import UsageError
from evalsuite.files import read_json, write_json
from tasks.checks import check_evaluation
from tasks.entry import stage_main
from tasks.params import Params
from tasks.paths import ArtifactPaths
from tasks.training.checkpoints import checkpoint_bytes, most_checkpoints
from tasks.training.launch import LaunchPlan
from tasks.training.models import compute_dtype, shipped_dtype
from tasks.training.planner import (
    DataCounts,
    device_memory,
    memory,
    model_shape,
    needed_bytes,
    remedies,
    steps,
    tokens_per_second,
    warnings,
)


def run(name: str, params: Params, paths: ArtifactPaths) -> dict[str, Any]:
    """Write plans/NAME.json, and plans/NAME.launch.json, which alone decides how training runs.

    Raises:
        UsageError: The method does not fit in memory; says what would. Or its target modules match nothing.
        MissingArtifactError: The base model or the prepared data is absent.
    """
    import torch
    from transformers import AutoConfig

    method, train = params.methods[name], params.train
    report = read_json(paths.prepared / "report.json", "ratchet stage prepare")
    counts = report["splits"]["train"]
    data = DataCounts(rows=counts["rows"], tokens=counts["tokens"], longest=counts["longest"])
    base = paths.export("base")
    read_json(base / "manifest.json", "ratchet stage fetch")
    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    cuda = torch.cuda.is_available()
    try:
        shape = model_shape(config, method)
    except UsageError as error:
        raise UsageError(f"methods.{name}.{error}") from None
    needed = memory(shape, method, train, data.longest, cuda)
    given = params.hardware.memory_gib
    available = device_memory(cuda) if given is None else int(given * 2**30)
    total = needed_bytes(needed)
    if total > available:
        fitting = remedies(config, method, train, data.longest, cuda, available)
        raise UsageError(
            f"method {name!r} needs about {total / 2**30:.1f} GiB, the device has {available / 2**30:.1f} GiB; "
            + (f"what fits: {'; '.join(fitting)}" if fitting else "no kind fits: take a smaller model or more memory")
        )
    one = checkpoint_bytes(shape.trained_parameters)
    disk = one * most_checkpoints(method.epochs, train.keep_checkpoints)
    disk += shape.parameters * shipped_dtype(base).itemsize
    speed = tokens_per_second(shape, method, params.hardware, cuda)
    seconds = data.tokens * method.epochs / speed
    numerics: Literal["fp32", "fp32 weights, bf16 compute"] = (
        "fp32" if compute_dtype() is torch.float32 else "fp32 weights, bf16 compute"
    )
    launch = LaunchPlan(
        device="cuda" if cuda else "cpu", numerics=numerics, trained_parameters=shape.trained_parameters
    )
    plan = {
        "schema_version": 1,
        "method": name,
        "strategy": launch.strategy,
        "parameters": shape.parameters,
        "trained_parameters": shape.trained_parameters,
        "memory_bytes": {**needed._asdict(), "total_with_headroom": total, "available": available},
        "checkpoint_bytes": one,
        "disk_bytes": disk,
        "numerics": numerics,
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
    write_json(paths.plans / f"{name}.launch.json", launch)
    write_json(paths.plan(name), plan)
    return plan


def main(arguments: list[str] | None = None) -> int:
    """Run the stage for the method named on the command line."""
    names = sys.argv[1:] if arguments is None else arguments

    def stage(params: Params, paths: ArtifactPaths) -> str:
        if len(names) != 1 or names[0] not in params.methods:
            raise UsageError(f"plan takes one method, got {names}; methods: {', '.join(params.methods)}")
        check_evaluation(params, paths)
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
