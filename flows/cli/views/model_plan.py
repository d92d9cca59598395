"""How a plan of one model looks on the command line."""

from typing import Any

from flows.cli.views.console import console, escape, table


def show_plan(plan: dict[str, Any]) -> None:
    """What was chosen, what it holds by component, the alternatives and the warnings."""
    out = console()
    more = ", gradient checkpointing" if plan["gradient_checkpointing"] else ""
    beside = plan["parameters_beside_text"]
    if beside:
        out.print(
            f"only the text model is planned; {beside:,} parameters of other parts, such as a vision tower, also take "
            "memory but process no text"
        )
    out.print(
        f"{plan['family']}, {plan['parameters']:,} parameters, {plan['trained_parameters']:,} trained by "
        f"{escape(plan['method'])} on {escape(plan['machines'])}"
    )
    verdict = "[green]fits[/]" if plan["fits"] else "[red]does not fit[/]"
    out.print(
        f"{escape(plan['strategy'])}, numerics {plan['numerics']}, {plan['optimizer']}{more}, "
        f"{plan['micro_batch_size']} rows of {plan['sequence_tokens']} tokens: {verdict}"
    )
    parts = table("on one device", "GiB")
    for name, size in plan["memory_bytes_per_device"].items():
        parts.add_row(name, f"{size / 2**30:.1f}")
    parts.add_row("available", f"{plan['available_bytes_per_device'] / 2**30:.1f}")
    if plan["host_memory_bytes_per_node"]:
        parts.add_row("host's memory, a machine", f"{plan['host_memory_bytes_per_node'] / 2**30:.1f}")
    out.print(parts)
    out.print(
        f"{_hours(plan['hours'])} for {plan['tokens']:,} tokens at {plan['tokens_per_second']:,.0f} a second "
        f"({escape(plan['bound_by'])}); cost {_cost(plan['cost'])}"
    )
    found = table("or", "numerics", "GiB", "fits", "time", "cost")
    for each in [*plan["alternatives"], *plan["remedies"]]:
        text = each.get("change") or each["strategy"] + (", checkpointing" if each["gradient_checkpointing"] else "")
        found.add_row(
            escape(text),
            each["numerics"],
            f"{each['total_bytes_per_device'] / 2**30:.1f}",
            "yes" if each["fits"] else "no",
            _hours(each["hours"]),
            _cost(each["cost"]),
        )
    if found.row_count:
        out.print(found)
    for warning in plan["warnings"]:
        out.print(f"[yellow]![/] {escape(warning)}")
    for each in plan["advice"]:
        out.print(f"advice: {escape(each['text'])} ({escape(each['source'])})")
    for assumption in plan["assumptions"]:
        out.print(f"assumed: {escape(assumption)}")
    if plan.get("launch_file"):
        out.print(f"written: {escape(plan['launch_file'])}")


def _hours(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.1f} h"


def _cost(cost: float | None) -> str:
    return "unknown (--price)" if cost is None else f"{cost:,.2f}"
