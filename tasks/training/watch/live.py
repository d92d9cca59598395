"""The curves of a training in DVCLive's format, so that ``dvc metrics``, ``dvc plots`` and editors show them live.

A training that goes on writes the curves anew from its last checkpoint's history: what a killed one had written beyond
it happens once more. No git, no experiment and no dvc.yaml is touched.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from evalsuite.core.files import write_json
from tasks.training.state.log import EpochRecord, StepRecord
from tasks.training.watch.signals import read_steps


class LiveCurves:
    """models/METHOD/live: metrics.json with the last values, plots/metrics/GROUP/NAME.tsv with all, by step.

    ``dvclive.Live`` itself would look for a git commit to name an experiment after, and fails where there is none.
    """

    def __init__(self, folder: Path) -> None:
        """Start with empty curves."""
        from dvclive.plots import Metric

        self._curve = Metric
        if folder.exists():
            shutil.rmtree(folder)
        self._folder = folder
        self._curves: dict[str, Any] = {}
        self._last: dict[str, Any] = {"train": {}, "eval": {}, "golden": {}}

    def add_step(self, record: StepRecord) -> None:
        """Add the signals of a step, those that are known."""
        self._add(record.step, "train", record.model_dump(exclude={"step", "epoch", "tokens"}, exclude_none=True))

    def add_epoch(self, record: EpochRecord) -> None:
        """Add the loss on the dev rows and the golden dev metrics of an epoch, at its last step."""
        self._add(record.step, "eval", {"loss": record.eval_loss})
        self._add(record.step, "golden", record.golden)

    def _add(self, step: int, group: str, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            path = f"{group}/{name}"
            curve = self._curves.setdefault(path, self._curve(path, str(self._folder / "plots")))
            curve.step = step
            curve.dump(value)
            self._last[group][name] = value
        write_json(self._folder / "metrics.json", {**self._last, "step": step})


def write_curves(folder: Path, steps: Iterable[StepRecord], epochs: Iterable[EpochRecord]) -> LiveCurves:
    """Write the curves as far as they go, in place of those that lie there."""
    curves = LiveCurves(folder)
    for step in steps:
        curves.add_step(step)
    for epoch in epochs:
        curves.add_epoch(epoch)
    return curves


def live_callback(training: Any, folder: Path) -> Any:
    """The callback that writes the curves of one ``worker.Training`` as they come, in the first process."""
    from transformers import TrainerCallback

    class LiveCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
        def __init__(self) -> None:
            self.curves: LiveCurves | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if training.ranks.first:
                self.curves = write_curves(folder, read_steps(state.log_history), training.epochs)

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.curves is not None:
                for record in read_steps(state.log_history[-1:]):
                    self.curves.add_step(record)

        def on_epoch_judged(self, record: EpochRecord) -> None:
            if self.curves is not None:
                self.curves.add_epoch(record)

    return LiveCallback()
