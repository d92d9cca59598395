"""What a command does not need, it does not import."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SLOW = ("pandas", "statsmodels", "scipy.stats", "scipy.integrate", "scipy.optimize", "torch", "transformers", "httpx")
RUN = """
import sys
from flows.cli.app import main
try:
    main()
finally:
    print("imported:", *[name for name in {slow} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize(("right", "code"), [(200, 0), (150, 1), (197, 3)])
def test_comparing_two_files_imports_no_package_that_takes_seconds(tmp_path: Path, right: int, code: int) -> None:
    for name, count in (("baseline", 198), ("candidate", right)):
        rows = "".join(f"i{n},{int(n < count)}\n" for n in range(200))
        (tmp_path / f"{name}.csv").write_text(f"item_id,exact\n{rows}")
    (tmp_path / "policy.yaml").write_text("rules: [{suite: s, metric: exact, kind: guard, margin: 0.021}]")
    files = {"--baseline": "baseline.csv", "--candidate": "candidate.csv", "--policy": "policy.yaml"}
    options = [part for option, name in files.items() for part in (option, str(tmp_path / name))]
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(slow=SLOW), "gate", "compare", *options, "--suite", "s"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()) == (code, ["imported:"])
