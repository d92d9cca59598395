"""TensorBoard, Weights & Biases and MLflow by name (``train.report_to``), on this machine unless you say otherwise.

They get what the trainer logs, the signals and the golden dev metrics of each epoch. Nothing of it decides the weights,
and a training that goes on goes on in its run there. Without settings of yours in the environment nothing is sent:
W&B writes offline runs (``WANDB_MODE``), MLflow a local database (``MLFLOW_TRACKING_URI``), all under ``runs/``.
"""

import importlib.util
import logging
import os
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_json, write_json
from tasks.training.state.checkpoints import anew
from tasks.training.state.log import EpochRecord

logger = logging.getLogger(__name__)

RUN = "run.json"
PROJECT = "ratchet"
"""Of W&B, and MLflow's experiment, where the environment names none."""
PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow-skinny"}
"""Module -> what pip installs: MLflow's whole package wants an older pyarrow than this project's."""


class Run(NamedTuple):
    """One training, however often it was interrupted."""

    method: str
    name: str
    """Unique among the trainings of a method."""
    step: int
    """From which this attempt goes on; 0 where it is the first."""
    folder: Path
    """For what is written on this machine."""


class Sink(NamedTuple):
    """A tracker that is open."""

    callback: Any
    """Of transformers."""
    close: Callable[[], None]


def check_reporters(names: Iterable[str]) -> None:
    """Refuse a tracker whose package is not installed.

    Raises:
        UsageError: Names it, and the command that installs it.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        packages = " ".join(PACKAGES[name] for name in missing)
        raise UsageError(
            f"train.report_to: {', '.join(missing)} is not installed; `.venv/bin/python -m pip install {packages}`, or "
            "take it out of train.report_to"
        )


def read_run(method: str, root: Path, step: int, folder: Path) -> Run:
    """The run of the training whose checkpoints lie in ``root``; a new one where none has begun there."""
    path = root / RUN
    if not path.is_file():
        write_json(path, {"schema_version": 1, "name": f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"})
    found = read_json(path, anew(path))
    if not isinstance(found, dict) or "name" not in found:
        raise UsageError(f"{path} has no name; make it again with `{anew(path)}`")
    return Run(method, str(found["name"]), step, folder)


def reporting_callback(training: Any, folder: Path) -> Any:
    """The callback that passes the logs of one ``worker.Training`` on, in the first process."""
    from transformers import TrainerCallback

    class ReportingCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
        def __init__(self) -> None:
            self.sinks: dict[str, Sink] = {}

        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if not training.ranks.first:
                return
            run = read_run(training.name, training.root, state.global_step, folder)
            for name in dict.fromkeys(training.params.report_to):
                try:
                    self.sinks[name] = OPEN[name](run)
                    self.sinks[name].callback.on_train_begin(args, state, control, **others)
                except Exception as error:  # each tracker has errors of its own
                    raise UsageError(
                        f"train.report_to: {name} cannot be opened ({_first_line(error)}); fix its settings in the "
                        "environment, or take it out of train.report_to"
                    ) from error

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **others: Any) -> None:
            self._tell(lambda sink: sink.callback.on_log(args, state, control, logs=dict(logs), **others))

        def on_epoch_judged(self, record: EpochRecord) -> None:
            golden = {f"eval_golden_{name}": value for name, value in record.golden.items()}
            trainer = training.trainer
            self._tell(
                lambda sink: sink.callback.on_log(
                    trainer.args, trainer.state, trainer.control, logs=golden, model=trainer.model
                )
            )

        def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            self._tell(lambda sink: sink.close())
            self.sinks = {}

        def _tell(self, event: Callable[[Sink], object]) -> None:
            """Pass it on; training goes on without a tracker that fails, which is told no more."""
            for name, sink in list(self.sinks.items()):
                try:
                    event(sink)
                except Exception as error:  # each tracker has errors of its own
                    logger.warning(
                        "train.report_to: %s failed and gets no more of this training: %s", name, _first_line(error)
                    )
                    del self.sinks[name]

    return ReportingCallback()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no text'}"


def _tensorboard(run: Run) -> Sink:
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    # What a killed attempt wrote beyond its last checkpoint is hidden.
    purge = run.step + 1 if run.step else None
    writer: Any = SummaryWriter(str(run.folder / "tensorboard" / run.method / run.name), purge_step=purge)
    return Sink(TensorBoardCallback(tb_writer=writer), writer.close)


def _wandb(run: Run) -> Sink:
    import wandb
    from transformers.integrations import WandbCallback

    run.folder.mkdir(parents=True, exist_ok=True)
    opened = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        dir=os.environ.get("WANDB_DIR", str(run.folder)),
        mode=os.environ.get("WANDB_MODE", "offline"),
        id=f"{run.method}-{run.name}",
        name=f"{run.method}-{run.name}",
        resume="allow",
        save_code=False,
        settings=wandb.Settings(disable_git=True, console="off", silent=True),
    )
    return Sink(WandbCallback(), opened.finish)


def _mlflow(run: Run) -> Sink:
    import mlflow
    from transformers.integrations import MLflowCallback

    run.folder.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{run.folder.resolve() / 'mlflow.db'}"))
    experiment = mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
    name = f"{run.method}-{run.name}"
    client = mlflow.MlflowClient()
    found = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
    if found:
        mlflow.start_run(run_id=found[0].info.run_id)
    else:
        mlflow.start_run(run_name=name)
    return Sink(MLflowCallback(), mlflow.end_run)


OPEN: dict[str, Callable[[Run], Sink]] = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}
