"""How a method runs: the part of the plan that training depends on, and the proof that it took effect."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from evalsuite.errors import StageError
from tasks.params import MethodKind, MethodParams


class LaunchPlan(BaseModel):
    """plans/METHOD.launch.json: only what changes training, so that a new price does not train again."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    strategy: Literal["one device"] = "one device"
    num_processes: Literal[1] = 1
    device: Literal["cpu", "cuda"]
    numerics: Literal["fp32", "fp32 weights, bf16 compute"]
    trained_parameters: int = Field(ge=1)
    """Counted from the model's config, adapters included."""


def check_effective(
    plan: LaunchPlan, method: MethodParams, packing: bool, trained: int, effective: dict[str, Any]
) -> None:
    """Stop when what runs is not what was planned.

    Args:
        plan: What was planned.
        method: What was asked for.
        packing: Whether several examples were to share a row.
        trained: Parameters that the optimizer changes.
        effective: What runs, as ``Training.effective`` reads it.

    Raises:
        StageError: Names the field with both values.
    """
    wanted = {
        "device": plan.device,
        "trained_dtype": "float32",
        "autocast": "none" if plan.numerics == "fp32" else "bf16",
        "num_processes": plan.num_processes,
        "distributed_type": "NO",
        "quantised": method.kind is MethodKind.QLORA,
        "padding_free": packing,
        "trained_parameters": plan.trained_parameters,
    }
    found = {**effective, "device": str(effective["device"]).split(":")[0], "trained_parameters": trained}
    for name, value in wanted.items():
        if found[name] != value:
            raise StageError(
                f"what runs is not what was planned: {name} is {found[name]!r}, the plan says {value!r}; where the "
                "machine or the model changed since, run `ratchet stage plan@METHOD --force` with this method"
            )
