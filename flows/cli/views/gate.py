"""What the gate's commands print."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from evalsuite.gate_tools.noise import Noise
from evalsuite.gate_tools.power import RulePower
from evalsuite.gate_tools.simulate import RuleResult, Simulation
from flows.cli.views.console import broken, console, escape, table


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show one bar per phase on stderr; yields a function of the phase, the count so far and the total."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        phases: dict[str, TaskID] = {}

        def tell(phase: str, done: int, total: int) -> None:
            if phase not in phases:
                phases[phase] = bar.add_task(escape(phase), total=total)
            bar.update(phases[phase], completed=done)

        yield tell


def show_noise(noise: Noise) -> None:
    """Print one line per metric, and the lines for params.yaml."""
    out = console()
    out.print(f"{noise.num_repeats} evaluations of model {noise.identity[:16]}")
    heads = ("n", "values", "items that flip", "noise floor")
    found = table("metric", *heads, right=heads)
    for each in noise.metrics:
        values = " / ".join(f"{value:.4f}" for value in each.values)
        flips = f"{100 * each.flip_fraction:.1f}%"
        found.add_row(escape(f"{each.suite}/{each.metric}"), str(each.n), values, flips, f"{each.floor:.4f}")
    out.print(found)
    out.print("under `gate` in params.yaml, so that a smaller margin is a warning:", "  noise:", sep="\n")
    for name, floor in noise.floors.items():
        out.print(escape(f"    {name}: {floor:.6g}"))


def show_simulation(result: Simulation) -> None:
    """Print one line per rule."""
    setting = result.setting
    out = console()
    out.print(
        f"{result.num_pairs} ordered pairs of models within {setting.within:g}, {result.num_items:,} items, margin "
        f"{setting.margin:g}, alpha {setting.alpha:g}, {setting.repetitions} orders per pair"
    )
    rows = {
        **result.rules,
        **({"sequential, candidates at the margin": result.at_margin} if result.at_margin else {}),
        "sequential, without a record": result.without_record,
    }
    errors = ("worse promoted", "upper 95%", "not-worse blocked", "middle promoted")
    items = ("items, clear", "items, middle", "items, all", "10% / 50% / 90%")
    for heads, cells in ((errors, _error_cells), (items, _item_cells)):
        found = table("rule", *heads, right=heads)
        for name, rule in rows.items():
            found.add_row(name, *cells(rule))
        out.print(found)
        out.print()
    out.print("worse: true difference below -margin; not worse: 0 or above; middle: between; clear: the first two")
    out.print(
        f"items used over the fewest that any such test of the paired differences needs: {result.bound_ratio:.2f} "
        "(without a record, clear pairs)"
    )


def show_power(rules: Sequence[RulePower], impossible: Sequence[str], cautions: Sequence[str] = ()) -> None:
    """What each rule can prove, what each column means, a remedy for each rule that is too weak, and what to know."""
    out = console()
    heads = ("n", "limit", "holds from (80%)", "(95%)", "caught from (80%)", "(95%)")
    found = table("rule", *heads, "spread from", right=heads)
    for rule in rules:
        ends = [*rule.passes_at.values(), *rule.fails_at.values()]
        cells = ("unknown" if rule.n is None else f"{rule.n:,}", f"{rule.limit:+.3g}", *map(_difference, ends))
        found.add_row(escape(rule.rule), *cells, escape(rule.basis))
    out.print(found)
    out.print(
        "holds from: the least true difference (candidate - baseline; the value for a floor or ceiling) with which the "
        "rule is proven so often"
    )
    out.print("caught from: the least detectable loss, the true difference that is proven to break the rule so often")
    _show_scenarios(rules)
    for rule in rules:
        if rule.slices is not None:
            out.print(f"{escape(rule.rule)}: {escape(rule.slices)}")
    for rule in rules:
        if rule.weak:
            out.print(f"[yellow]![/] {escape(rule.rule)} is weak: {escape(rule.remedy or '')}")
    for text in cautions:
        out.print(f"[yellow]![/] {escape(text)}")
    for text in impossible:
        out.print(f"[red]{broken()}[/] {escape(text)}")


def _show_scenarios(rules: Sequence[RulePower]) -> None:
    rows = [(rule, scenario) for rule in rules for scenario in rule.scenarios]
    if not rows:
        return
    sequential = any(scenario.sequential_items is not None for _, scenario in rows)
    heads = ("passes", "fails", "items", "hours", *(("sequential items", "hours") if sequential else ()))
    found = table("rule", "if the truth is", *heads, right=heads, title="items and hours to a verdict")
    for rule, each in rows:
        cells = [
            f"{each.name} ({each.difference:+.3g})",
            f"{100 * each.passes:.0f}%",
            f"{100 * each.fails:.0f}%",
            "never" if each.items is None else f"{each.items:,}",
            _hours(each.hours),
        ]
        if sequential:
            cells += ["-" if each.sequential_items is None else f"{each.sequential_items:,.0f}"]
            cells += [_hours(each.sequential_hours)]
        found.add_row(escape(rule.rule), *cells)
    out = console()
    out.print(found)
    out.print(
        "passes, fails: how often the n items prove the rule, or prove it broken; items: how many decide it 4 times "
        "in 5; hours: evaluating one model on them, from earlier evaluations"
    )


def _difference(value: float | None) -> str:
    return "never" if value is None else f"{value:+.3f}"


def _hours(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2g}"


def _error_cells(rule: RuleResult) -> list[str]:
    shares = (rule.false_promotion, rule.false_promotion_upper95, rule.blocked_not_worse, rule.promoted_middle)
    return ["-" if share is None else f"{100 * share:.1f}%" for share in shares]


def _item_cells(rule: RuleResult) -> list[str]:
    items = (rule.mean_items_clear, rule.mean_items_middle, rule.mean_items)
    return [
        *("-" if mean is None else f"{mean:,.0f}" for mean in items),
        " / ".join(f"{quantile:,.0f}" for quantile in rule.quantiles),
    ]
