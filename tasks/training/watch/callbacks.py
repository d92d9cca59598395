"""What the trainer tells us, step by step."""

import logging
import math
import time
from typing import Any

from tasks.training.effective import check_effective, check_numbers
from tasks.training.state.checkpoints import check_disk, last_good
from tasks.training.watch.failures import DivergedError

logger = logging.getLogger(__name__)

EXPLODED = 2.0
"""Times the larger of the first loss and a uniform guess's: a loss beyond it does not come back."""


def training_callback(training: Any) -> Any:
    """The callback of one ``worker.Training``."""
    from transformers import TrainerCallback

    class EpochCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
        def __init__(self) -> None:
            self.epoch_started = self.begun = time.perf_counter()
            self.first_step = 0
            self.numbers_checked = False

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.begun = time.perf_counter()
            self.first_step = state.global_step
            for epoch in training.epochs:
                logger.info("%s: epoch %d was done before", training.name, epoch.epoch)
            effective = training.effective()
            batch = (training.params.batch_size, training.rows_a_step)
            check_effective(training.job, batch, effective)
            if training.plan.strategy.zero_stage == 3:
                training.check_packing()
            training.check_resume()
            logger.info("%s: %s", training.name, ", ".join(f"{key} {value}" for key, value in effective.items()))

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.epoch_started = time.perf_counter()
            training.trainer.order.epoch = int(state.epoch or 0)

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            training.stepping = True

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if not self.numbers_checked:
                self.numbers_checked = True
                training.effective().update(check_numbers(training.plan, training.trainer))

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            # An epoch's last step is saved a moment later, with its loss on the dev rows.
            if abs(state.epoch - round(state.epoch)) > 1e-9 and training.wants_to_stop():
                check_disk(training.root, training.checkpoint_bytes)
                control.should_save = True

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
            loss = logs.get("loss", logs.get("eval_loss"))
            if loss is not None:
                self._check(state, "loss", loss)
            if isinstance(norm := logs.get("grad_norm"), float) and not math.isfinite(norm):
                self._stop(state, f"the gradient's norm is {norm}")
            if "loss" in logs:
                self._tell(state, logs)

        def _check(self, state: Any, name: str, loss: float) -> None:
            if not math.isfinite(loss):
                self._stop(state, f"the loss is {loss}")
            first = next((entry["loss"] for entry in state.log_history if "loss" in entry), loss)
            limit = EXPLODED * max(first, math.log(training.trainer.model.config.get_text_config().vocab_size))
            if loss > limit:
                self._stop(state, f"the {name} exploded: {loss:.3f} nats a token, it began with {first:.3f}")

        def _stop(self, state: Any, what: str) -> None:
            raise DivergedError(
                f"{training.name}: {what} at step {state.global_step}; last good checkpoint: "
                f"{last_good(training.root)}; lower methods.{training.name}.learning_rate and run again"
            )

        def _tell(self, state: Any, logs: dict[str, Any]) -> None:
            done, total = state.global_step - self.first_step, state.max_steps - self.first_step
            if done % max(1, total // 10) and state.global_step != state.max_steps:
                return
            pace = (time.perf_counter() - self.begun) / max(1, done)
            training.save_clock()
            logger.info(
                "%s: epoch %d of %d, step %d of %d, loss %.3f, %.1f s a step, %.0f s left before the last dev run",
                training.name,
                math.ceil(state.epoch),
                training.num_epochs,
                state.global_step,
                state.max_steps,
                logs["loss"],
                pace,
                pace * (total - done),
            )

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            check_disk(training.root, training.checkpoint_bytes)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            reason = training.saved(state, self.epoch_started)
            if reason is not None:
                logger.info("%s: stopping early: %s", training.name, reason)
                control.should_training_stop = True

    return EpochCallback()
