"""The page as one HTML file that opens offline and trusts nothing it shows (``evalsuite.report.page``)."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2

from evalsuite.data_page.card import TEMPLATE, TO_FILL_IN, headings
from evalsuite.data_page.drift import MORE
from evalsuite.data_page.facts import DataFacts
from evalsuite.data_page.languages import LEAST_LETTERS, OTHERS, SHORT, UNSURE
from evalsuite.report.page import NO_SCRIPT, environment, inlined

SHOWN_CHARACTERS = 400
"""Of one text; the middle of a longer one is left out."""
TOPS = (4.0, 8.0, 20.0, 40.0, 80.0)


@dataclass(frozen=True)
class Bin:
    """One place of a bar chart, with a bar for each series."""

    label: str
    bars: tuple[float, ...]
    """Heights in percent of the plot's."""
    counts: tuple[int, ...]


@dataclass(frozen=True)
class BarChart:
    """Histograms beside each other, each in percent of its own total."""

    names: tuple[str, ...]
    bins: tuple[Bin, ...]
    ticks: tuple[tuple[float, str], ...]
    """Percent from the top, label."""
    description: str


def build_data_page(facts: DataFacts) -> str:
    """Render the page; the same facts give the same text."""
    return (
        _environment()
        .get_template("data_page.html.jinja")
        .render(
            **inlined(
                "style",
                [
                    ("evalsuite.report", "style.css"),
                    ("evalsuite.report", "facts.css"),
                    ("evalsuite.data_page", "data.css"),
                ],
            ),
            script_hash=NO_SCRIPT,
            facts=facts,
            lengths=bar_chart({name: side.histogram for name, side in facts.sides.items()}, facts.edges),
            drift_lengths=drift_chart(facts),
            dropped=[reason for reason in facts.reasons if reason.did == "dropped"],
            changed=[reason for reason in facts.reasons if reason.did == "changed"],
            headings=headings(facts),
            template_name=TEMPLATE,
            to_fill_in=TO_FILL_IN,
            shown=SHOWN_CHARACTERS,
            unsure=(OTHERS, UNSURE, SHORT),
            least_letters=LEAST_LETTERS,
        )
    )


@functools.cache
def _environment() -> jinja2.Environment:
    return environment("evalsuite.data_page", "evalsuite.report")


def drift_chart(facts: DataFacts) -> BarChart | None:
    """Train rows now beside the champion's; None where its run kept no histogram."""
    if facts.drift is None or facts.drift.divergence is None:
        return None
    return bar_chart({"now": facts.drift.after, "the champion's": facts.drift.before}, facts.edges)


def bar_chart(histograms: Mapping[str, Mapping[str, int]], edges: Sequence[str]) -> BarChart:
    """Lay histograms out beside each other, from the first bin that any of them fills to the last.

    Args:
        histograms: Name -> upper end of a bin in tokens (``more`` for the open one) -> sequences.
        edges: All bins, in order.
    """
    filled = [at for at, edge in enumerate(edges) if any(each.get(edge) for each in histograms.values())]
    first = filled[0] if filled else 0
    edges = edges[first : filled[-1] + 1] if filled else edges[:1]
    totals = {name: sum(each.values()) or 1 for name, each in histograms.items()}
    shares = [[100.0 * each.get(edge, 0) / totals[name] for name, each in histograms.items()] for edge in edges]
    top = _round_up(max((share for each in shares for share in each), default=0.0))
    bins = tuple(
        Bin(
            label=f"over {edges[at - 1]}" if edge == MORE and at else edge,
            bars=tuple(round(100.0 * share / top, 2) for share in each),
            counts=tuple(histogram.get(edge, 0) for histogram in histograms.values()),
        )
        for at, (edge, each) in enumerate(zip(edges, shares, strict=True))
    )
    told = "; ".join(
        f"{name}: " + ", ".join(f"up to {edge} tokens {each.get(edge, 0)}" for edge in edges)
        for name, each in histograms.items()
    )
    marks = [top * part / 4 for part in range(5)]
    ticks = tuple((round(100.0 - 100.0 * mark / top, 2), f"{mark:g}%") for mark in marks)
    return BarChart(tuple(histograms), bins, ticks, f"Sequences by their tokens. {told}")


def _round_up(percent: float) -> float:
    """The top of the axis: so that four marks are round numbers."""
    return next((top for top in TOPS if top >= percent), 100.0)
