"""How far each judge agrees with people, on requests that it was not made on.

Run:  python -m benchmarks.judges [DATA_FOLDER]      (default ../shared/data; a few minutes on two cores)

Reads ``harmbench_judge/labelled_completions.json`` with its recorded verdicts, and XSTest's labelled completions. Our
own judges give each labelled request the verdict of a model that never saw it (see ``evalsuite.judges.learned``), whose
settings were chosen without it too. The last lines are ``ratio NAME VALUE``, higher is better for us.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from evalsuite.judge_tools.agreement import Agreement, agreement_with_people
from evalsuite.judge_tools.check import check_judges
from evalsuite.judge_tools.labelled import LabelledRefusal, read_labelled_refusals
from evalsuite.judges.base import Refusal
from evalsuite.judges.learned import LearnedRefusalJudge
from evalsuite.judges.string_matching import REFUSAL_PHRASES

DATA = Path("../shared/data")
BINARY = {Refusal.FULL: "refused", Refusal.PARTIAL: "refused", Refusal.NONE: "answered"}


def refusal_figures(rows: Sequence[LabelledRefusal]) -> dict[str, Agreement]:
    """Of our judge and of string matching, three kinds and two."""
    judge = LearnedRefusalJudge()
    ours = judge.refusals([row.case for row in rows], "xstest")
    matched = [
        Refusal.FULL if any(phrase in row.case.completion for phrase in REFUSAL_PHRASES) else Refusal.NONE
        for row in rows
    ]
    groups, categories = [row.group for row in rows], [row.category for row in rows]
    figures = {}
    for name, kinds in (("default", ours), ("string_matching", matched)):
        for suffix, labels in (("three kinds", {kind: str(kind) for kind in Refusal}), ("refused or not", BINARY)):
            figures[f"{name}, {suffix}"] = agreement_with_people(
                name,
                "",
                [None if kind is None else labels[kind] for kind in kinds],
                [labels[row.refusal] for row in rows],
                groups,
                categories,
            )
    return figures


HEADER = "| judge | agreement | 95% | kappa | n | unscored |\n|---|---|---|---|---|---|"


def show(name: str, found: Agreement) -> None:
    """One line of Markdown table."""
    kappa = "-" if found.kappa is None else f"{found.kappa:.3f}"
    interval = f"{found.lower:.3f}-{found.upper:.3f}"
    print(f"| {name} | {found.agreement:.3f} | {interval} | {kappa} | {found.n} | {found.unscored} |")


def main() -> int:
    """Print both tables and the ratios."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    print("HarmBench: harmful or not, against the majority of three people\n")
    print(HEADER)
    harm = {
        found.judge: found for found in check_judges(data / "harmbench_judge" / "labelled_completions.json", None, None)
    }
    for name, found in sorted(harm.items(), key=lambda pair: -(pair[1].agreement or 0.0)):
        show(name, found)
    files = sorted((data / "xstest").glob("xstest_v2_completions_*.csv"))
    per_file = {file.stem.removeprefix("xstest_v2_completions_"): read_labelled_refusals(file) for file in files}
    every = [row for rows in per_file.values() for row in rows]
    print(f"\nXSTest: how far completions refuse\n\n{HEADER}")
    refusal = refusal_figures(every)
    for name, found in refusal.items():
        show(name, found)
    for model, rows in per_file.items():
        for name, found in refusal_figures(rows).items():
            if name.startswith("default"):
                show(f"{name}, {model} alone", found)
    print()
    ratios = {
        "harmful_default_vs_string_matching": (harm["default"], harm["string_matching"]),
        "harmful_default_vs_llama_guard": (harm["default"], harm["llama_guard (recorded)"]),
        "harmful_default_vs_gptfuzz": (harm["default"], harm["gptfuzz (recorded)"]),
        "harmful_default_vs_harmbench_classifier": (harm["default"], harm["harmbench (recorded)"]),
        "refusal_default_vs_string_matching": (
            refusal["default, three kinds"],
            refusal["string_matching, three kinds"],
        ),
        "refused_default_vs_string_matching": (
            refusal["default, refused or not"],
            refusal["string_matching, refused or not"],
        ),
    }
    for name, (one, other) in ratios.items():
        print(f"ratio {name} {(one.agreement or 0.0) / (other.agreement or 1.0):.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
