"""What the gate's commands print."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from evalsuite.gate.noise import Noise
from evalsuite.gate.simulate import RuleResult, Simulation
from flows.console import console


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """One bar a phase on stderr; yields what to call with the phase, the count so far and the total."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        phases: dict[str, TaskID] = {}

        def tell(phase: str, done: int, total: int) -> None:
            if phase not in phases:
                phases[phase] = bar.add_task(escape(phase), total=total)
            bar.update(phases[phase], completed=done)

        yield tell


def show_noise(noise: Noise) -> None:
    """One line a metric, and the lines for params.yaml."""
    out = console()
    out.print(f"{noise.num_repeats} evaluations of model {noise.identity[:16]}")
    table = Table(box=None, pad_edge=False)
    for head in ("metric", "n", "values", "items that flip", "noise floor"):
        table.add_column(head, justify="left" if head == "metric" else "right")
    for each in noise.metrics:
        values = " / ".join(f"{value:.4f}" for value in each.values)
        flips = f"{100 * each.flip_fraction:.1f}%"
        table.add_row(escape(f"{each.suite}/{each.metric}"), str(each.n), values, flips, f"{each.floor:.4f}")
    out.print(table)
    out.print("under `gate` in params.yaml, so that a smaller margin is a warning:", "  noise:", sep="\n")
    for name, floor in noise.floors.items():
        out.print(escape(f"    {name}: {floor:.6g}"))


def show_simulation(result: Simulation) -> None:
    """One line a rule."""
    setting = result.setting
    out = console()
    out.print(
        f"{result.num_pairs} ordered pairs of models within {setting.within:g}, {result.num_items:,} items, margin "
        f"{setting.margin:g}, alpha {setting.alpha:g}, {setting.repetitions} orders a pair"
    )
    table = Table(box=None, pad_edge=False)
    for head in ("rule", "worse promoted", "upper 95%", "not-worse blocked", "middle promoted"):
        table.add_column(head, justify="left" if head == "rule" else "right")
    for head in ("items, clear", "items, middle", "items, all", "10% / 50% / 90%"):
        table.add_column(head, justify="right")
    rows = {
        **result.rules,
        "sequential, candidates at the margin": result.at_margin,
        "sequential, without a record": result.without_record,
    }
    for name, rule in rows.items():
        table.add_row(name, *_cells(rule))
    out.print(table)
    out.print("worse: true difference below -margin; not worse: 0 or above; middle: between; clear: the first two")
    out.print(
        f"ratio to the least items that any such test of the paired differences needs: {result.bound_ratio:.2f} "
        "(without a record, clear pairs)"
    )


def _cells(rule: RuleResult) -> list[str]:
    shares = (rule.false_promotion, rule.false_promotion_upper95, rule.blocked_not_worse, rule.promoted_middle)
    items = (rule.mean_items_clear, rule.mean_items_middle, rule.mean_items)
    return [
        *("-" if share is None else f"{100 * share:.1f}%" for share in shares),
        *("-" if mean is None else f"{mean:,.0f}" for mean in items),
        " / ".join(f"{quantile:,.0f}" for quantile in rule.quantiles),
    ]
