"""The curves as DVC itself reads them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.training.state.log import StepRecord
from tasks.training.watch.live import LiveCurves, write_curves
from tests.tasks.training.records import epoch

ROOT = Path(__file__).parents[4]
FOLDER = Path("models/full/live")


def step(number: int, loss: float) -> StepRecord:
    return StepRecord(step=number, epoch=number / 10, loss=loss, learning_rate=0.1, tokens_per_second=50.0)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A project whose stage has the curves of dvc.yaml's training as its outputs."""
    from dvc.repo import Repo

    train = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["train"]["do"]
    stage = {"cmd": f"{sys.executable} make.py ${{key}}", "metrics": train["metrics"], "plots": train["plots"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": {"foreach": {"full": {}}, "do": stage}}}))
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    with Repo.init() as found:
        yield found


def shown(repo: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ``dvc metrics show`` and ``dvc plots show`` find in the workspace."""
    from dvc.repo.plots import Plots

    repo._reset()
    (metrics,) = repo.metrics.show()[""]["data"].values()
    found = next(Plots(repo).collect())["workspace"]["sources"]["data"]
    return metrics["data"], {path: entry["data_source"]()["data"] for path, entry in found.items()}


def test_metrics_and_plots_are_there_while_a_training_runs(repo: Any) -> None:
    curves = LiveCurves(FOLDER)
    curves.add_step(step(1, 3.0))
    curves.add_step(step(2, 2.0))
    metrics, _ = shown(repo)
    assert (metrics["step"], metrics["train"]["loss"], metrics["train"]["tokens_per_second"]) == (2, 2.0, 50.0)
    curves.add_epoch(epoch(1, 0.75, evaluation=1.5))
    metrics, plots = shown(repo)
    assert (metrics["golden"], metrics["eval"]) == ({"exact": 0.75}, {"loss": 1.5})
    losses = plots["models/full/live/plots/metrics/train/loss.tsv"]
    assert [(row["step"], row["loss"]) for row in losses] == [("1", "3.0"), ("2", "2.0")]
    assert "models/full/live/plots/metrics/golden/exact.tsv" in plots


def test_a_training_that_goes_on_leaves_no_point_of_the_attempt_before(repo: Any) -> None:
    write_curves(FOLDER, [step(1, 3.0), step(2, 2.0), step(3, 1.0)], [])
    curves = write_curves(FOLDER, [step(1, 3.0), step(2, 2.0)], [])
    curves.add_step(step(3, 1.5))
    rows = (FOLDER / "plots/metrics/train/loss.tsv").read_text().splitlines()
    assert rows == ["step\tloss", "1\t3.0", "2\t2.0", "3\t1.5"]


def test_a_stage_with_curves_is_up_to_date_after_it_ran(repo: Any) -> None:
    source = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    source += "from pathlib import Path\nfrom tasks.training.watch.live import write_curves\n"
    source += "from tasks.training.state.log import StepRecord\n"
    source += "step = StepRecord(step=1, epoch=1.0, loss=2.0, learning_rate=0.1)\n"
    source += "write_curves(Path('models', sys.argv[1], 'live'), [step], [])\n"
    Path("make.py").write_text(source)
    assert [stage.name for stage in repo.reproduce()] == ["train@full"]
    assert repo.reproduce() == []
    assert repo.status() == {}
    metrics, _ = shown(repo)
    assert metrics["train"]["loss"] == 2.0
