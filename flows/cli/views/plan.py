"""What ``ratchet plan`` prints: a table of quantities with their units, one column per method."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evalsuite.core.files import read_json
from evalsuite.report.text import ABSENT, count, duration, money
from flows.cli.views.console import console, escape, table
from tasks.paths import ArtifactPaths

Cell = Callable[[Mapping[str, Any]], str]

NEEDED = "total"
COMPONENTS = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimizer states",
    "activations": "activations",
    "logits": "logits",
    "other": "copies of weights, runtime",
}


def show_plans(paths: ArtifactPaths, methods: Sequence[str]) -> None:
    """Print quantities in rows and methods in columns, then every warning."""
    plans = {method: read_json(paths.plan(method), f"ratchet stage plan@{method}") for method in methods}
    found = table("", *(escape(method) for method in methods))
    for name, cells in plan_rows(list(plans.values())):
        found.add_row(escape(name), *(escape(cell) for cell in cells))
    console().print(found)
    console().print("Memory, time and cost are estimates made before training; the report shows what was measured.")
    for method, plan in plans.items():
        for warning in plan.get("warnings", []):
            console().print(f"[yellow]![/] {escape(method)}: {escape(str(warning))}")


def plan_rows(plans: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Rows of the table: a name and one cell a plan; a quantity that a plan lacks is a dash."""
    parts = {key: f"  {name}" for key, name in COMPONENTS.items()}
    known = {key for plan in plans for key in plan["memory_bytes_per_device"]}
    # A component that is planned and not named here is shown by its own name rather than left out.
    parts |= {key: f"  {key.replace('_', ' ')}" for key in sorted(known - COMPONENTS.keys() - {NEEDED})}
    rows: list[tuple[str, Cell]] = [
        ("Runs on", lambda plan: str(plan["strategy"])),
        ("Numbers", lambda plan: str(plan["numerics"])),
        ("Parameters", lambda plan: count(_loaded(plan))),
        ("Parameters trained", _trained),
        ("Memory needed at the worst moment", _memory(NEEDED)),
        *((name, _memory(key)) for key, name in parts.items() if key in known),
        ("Memory of the device", lambda plan: _gib(plan["available_bytes_per_device"])),
        ("Disk needed", lambda plan: _gib(plan["disk_bytes"])),
        ("  one checkpoint", lambda plan: _gib(plan["checkpoint_bytes"])),
        ("Optimizer steps", lambda plan: count(plan["steps"])),
        ("Tokens, all epochs", lambda plan: count(plan["tokens"])),
        ("  one epoch", lambda plan: count(plan["tokens_per_epoch"])),
        ("Tokens a second", lambda plan: f"{plan['tokens_per_second']:,.0f}"),
        ("  bound by", lambda plan: str(plan["bound_by"])),
        ("Training time", lambda plan: duration(plan["seconds"])),
        ("Cost", lambda plan: money(plan["cost"], str(plan["currency"]))),
    ]
    return [(name, [cell(plan) for plan in plans]) for name, cell in rows]


def _memory(key: str) -> Cell:
    return lambda plan: _gib(plan["memory_bytes_per_device"].get(key))


def _gib(num_bytes: float | None) -> str:
    """One unit down the column, so that components can be added by eye."""
    return ABSENT if num_bytes is None else f"{num_bytes / 2**30:.2f} GiB"


def _loaded(plan: Mapping[str, Any]) -> int:
    """Parameters of all parts of the model; plans of earlier versions knew text models alone."""
    return int(plan["parameters"]) + int(plan.get("parameters_beside_text", 0))


def _trained(plan: Mapping[str, Any]) -> str:
    trained, whole = plan["trained_parameters"], _loaded(plan)
    return f"{count(trained)} ({100 * trained / whole:.1f}%)" if whole else count(trained)
