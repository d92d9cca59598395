"""Draw docs/verdicts.svg, the picture of a verdict, from intervals that the gate computes.

Run:  python -m benchmarks.verdict_picture
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np

from evalsuite.stats.paired import paired_interval

PICTURE = Path(__file__).parents[1] / "docs" / "verdicts.svg"
MARGIN, ALPHA = 0.02, 0.05
GREEN, RED, GREY = "#1a7f37", "#b42318", "#6b7280"
CASES = (
    # (what happened, items, newly wrong, newly right)
    ("few items, nothing changed", 200, 6, 6),
    ("many items, nothing changed", 4000, 120, 120),
    ("a small loss, inside the margin", 4000, 140, 120),
    ("a loss about as large as the margin", 4000, 200, 125),
    ("a loss well beyond the margin", 4000, 230, 90),
    ("a gain", 4000, 100, 200),
)


def main() -> int:
    """Draw and save."""
    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "ratchet", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8.6, 3.6))
    for row, (what, items, lost, gained) in enumerate(CASES):
        baseline = np.repeat([1.0, 0.0, 1.0], [lost, gained, items - lost - gained])
        candidate = np.repeat([0.0, 1.0, 1.0], [lost, gained, items - lost - gained])
        interval = paired_interval(candidate, baseline, None, ALPHA)
        passed, failed = interval.lower > -MARGIN, interval.upper < -MARGIN
        word, colour = ("PROMOTE", GREEN) if passed else ("REJECT", RED) if failed else ("INCONCLUSIVE", GREY)
        low, mid, high = (100.0 * x for x in (interval.lower, interval.difference, interval.upper))
        axes.plot([low, high], [row, row], color=colour, linewidth=3, solid_capstyle="butt")
        axes.plot([mid], [row], "o", color=colour, markersize=7)
        axes.text(
            -9.2, row, f"{what}\n{items:,} items: {lost} newly wrong, {gained} newly right", va="center", fontsize=8.5
        )
        axes.text(5.0, row, word, va="center", color=colour, fontweight="bold")
    axes.axvline(-100.0 * MARGIN, color=RED, linestyle="--", linewidth=1.2)
    axes.axvline(0.0, color=GREY, linewidth=0.8)
    axes.text(-100.0 * MARGIN - 0.1, -0.75, "the margin: -2 points", color=RED, ha="right", fontsize=8.5)
    axes.text(0.1, -0.75, "no change", color=GREY, ha="left", fontsize=8.5)
    axes.set(xlim=(-11.0, 7.2), ylim=(len(CASES) - 0.5, -1.1), yticks=[], xticks=range(-5, 5))
    axes.set_xlabel("new model minus old model, in points (%)", x=0.54)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(PICTURE, metadata={"Date": None})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
