"""Fine-tuning by TRL's SFTTrainer, one complete checkpoint and one golden dev run an epoch."""

import logging
import math
import os
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evalsuite.errors import StageError, UsageError
from tasks.params import MethodParams, TrainParams
from tasks.training.checkpoints import (
    check_disk,
    checkpoint_bytes,
    complete_checkpoints,
    mark_complete,
    most_checkpoints,
    prune,
)
from tasks.training.clock import Clock
from tasks.training.epoch_eval import DevRunner
from tasks.training.examples import Example
from tasks.training.launch import LaunchPlan, check_effective
from tasks.training.log import EpochRecord, StepRecord
from tasks.training.models import adapter_config, compute_dtype, load_trainable
from tasks.training.outcome import Outcome
from tasks.training.packing import check_packing
from tasks.training.selection import divergence, select_epoch
from tasks.training.supervised import supervised_trainer

logger = logging.getLogger(__name__)


class Training:
    """One method's run: the trainer, and what it writes after each epoch."""

    def __init__(
        self,
        name: str,
        method: MethodParams,
        params: TrainParams,
        plan: LaunchPlan,
        base: Path,
        root: Path,
        tokenizer: Any,
        train: Sequence[Example],
        dev: Sequence[Example],
        dev_runner: DevRunner,
        clock: Clock,
    ) -> None:
        """Build model and trainer; ``root`` holds the checkpoints.

        Raises:
            UsageError: The adapter's target modules match nothing, or examples in one row see each other.
        """
        from transformers import set_seed

        self.name = name
        self.method = method
        self.params = params
        self.plan = plan
        self.root = root
        self.dev_runner = dev_runner
        self.clock = clock
        set_seed(params.seed)
        self.trainer = self._build_trainer(base, tokenizer, train, dev)
        model = self.trainer.model
        self.trained_parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
        self.total_parameters = int(model.num_parameters())
        self.checkpoint_bytes = checkpoint_bytes(self.trained_parameters)
        if params.packing:
            check_packing(self.trainer, train, self.autocast)

    def run(self) -> Outcome:
        """Train to the end, from the last complete checkpoint where there is one.

        Raises:
            StageError: The loss is not a number, the disk is full, or what runs is not what was planned.
        """
        done = complete_checkpoints(self.root)
        missing = most_checkpoints(self.method.epochs, self.params.keep_checkpoints) - len(done)
        check_disk(self.root, max(0, missing) * self.checkpoint_bytes, f"{max(0, missing)} checkpoints need")
        resume = str(done[-1][0]) if done else None
        if resume is not None:
            logger.info("%s: going on from %s", self.name, resume)
            self.clock.add_resume(done[-1][1].step)
        # A run that was killed after an early stop must not go on past it.
        if self.stopped_early is None:
            with _deterministic():
                self.trainer.train(resume_from_checkpoint=resume)
        self.clock.save()
        return Outcome(
            epochs=self.epochs,
            steps=self.steps(),
            stopped_early=self.stopped_early,
            resumed_from_steps=self.clock.resumed,
            trainable_parameters=self.trained_parameters,
            total_parameters=self.total_parameters,
            train_seconds=self.clock.seconds,
            peak_memory_bytes=peak_memory_bytes(),
            effective=self.effective(),
        )

    @property
    def epochs(self) -> tuple[EpochRecord, ...]:
        """Records of the epochs that are complete, oldest first, those whose checkpoint was pruned included."""
        return tuple(sorted(read_records(self.root).values(), key=lambda record: record.epoch))

    @property
    def stopped_early(self) -> str | None:
        """Why training ends before its last epoch, as far as the complete epochs tell."""
        if len(self.epochs) >= self.method.epochs:
            return None
        return divergence(self.epochs, self.params.divergence_gap, self.params.divergence_patience)

    @property
    def autocast(self) -> str:
        """Type that the forward pass computes in, where it is not the weights' own."""
        return "bf16" if self.trainer.args.bf16 else "none"

    def steps(self) -> tuple[StepRecord, ...]:
        """Every logged optimizer step up to the last complete checkpoint, those before a resume included."""
        from transformers import TrainerState

        last = complete_checkpoints(self.root)[-1][0]
        return tuple(
            StepRecord(
                step=entry["step"],
                epoch=entry["epoch"],
                loss=entry["loss"],
                learning_rate=entry["learning_rate"],
                grad_norm=entry.get("grad_norm"),
            )
            for entry in TrainerState.load_from_json(str(last / "trainer_state.json")).log_history
            if "loss" in entry
        )

    def effective(self) -> dict[str, str | int | float | bool]:
        """What really runs, read from the model, the trainer and its optimizer."""
        model, trainer = self.trainer.model, self.trainer
        if trainer.optimizer is None:
            trainer.create_optimizer()
        dtypes = {str(p.dtype).removeprefix("torch.") for p in model.parameters() if p.requires_grad}
        return {
            "device": str(model.device),
            "trained_dtype": ", ".join(sorted(dtypes)),
            "attention": str(model.config._attn_implementation),
            "optimizer": type(getattr(trainer.optimizer, "optimizer", trainer.optimizer)).__name__,
            "padding_free": bool(trainer.padding_free),
            "distributed_type": str(trainer.accelerator.distributed_type.value),
            "num_processes": int(trainer.accelerator.num_processes),
            "gradient_checkpointing": bool(trainer.args.activation_checkpointing),
            "autocast": self.autocast,
            "quantised": bool(getattr(model, "is_loaded_in_4bit", False)),
        }

    def _build_trainer(self, base: Path, tokenizer: Any, train: Sequence[Example], dev: Sequence[Example]) -> Any:
        import torch
        from datasets import Dataset
        from transformers import PrinterCallback
        from trl import SFTConfig

        cuda = torch.cuda.is_available()
        params, method = self.params, self.method
        steps = math.ceil(len(train) / params.batch_size) * method.epochs
        config = SFTConfig(
            output_dir=str(self.root),
            per_device_train_batch_size=params.micro_batch_size,
            per_device_eval_batch_size=params.micro_batch_size,
            gradient_accumulation_steps=params.batch_size // params.micro_batch_size,
            num_train_epochs=method.epochs,
            learning_rate=method.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=math.ceil(method.warmup_ratio * steps),
            weight_decay=method.weight_decay,
            bf16=compute_dtype() is torch.bfloat16,
            activation_checkpointing=params.gradient_checkpointing,
            logging_steps=max(1, steps // 500),
            eval_strategy="epoch",
            save_strategy="epoch",
            seed=params.seed,
            data_seed=params.seed,
            max_length=None,
            padding_free=params.packing,
            train_sampling_strategy="random" if params.packing else "group_by_length",
            dataset_kwargs={"skip_prepare_dataset": True},
            use_cpu=not cuda,
            dataloader_pin_memory=cuda,
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=True,
        )
        try:
            trainer = supervised_trainer()(
                model=load_trainable(base, method),
                args=config,
                train_dataset=Dataset.from_list([example._asdict() for example in train]),
                eval_dataset=Dataset.from_list([example._asdict() for example in dev]),
                processing_class=tokenizer,
                peft_config=adapter_config(method),
                callbacks=[_callback(self)],
            )
        except ValueError as error:
            if "arget modules" not in str(error):
                raise
            reason = str(error).splitlines()[0]
            raise UsageError(f"methods.{self.name}.target_modules = {method.target_modules!r}: {reason}") from None
        trainer.remove_callback(PrinterCallback)
        # TRL turns the adapter of a quantised model into bf16: small steps vanish, and a CPU computes it far slower.
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        return trainer

    def finish_epoch(self, state: Any, started: float) -> str | None:
        """Run the golden dev set on the checkpoint just saved, complete it, prune; says why to stop, if so."""
        folder = self.root / f"checkpoint-{state.global_step}"
        epoch = round(state.epoch)
        golden = self.dev_runner.run(folder)
        begin = max((record.step for record in self.epochs), default=0)
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry and entry["step"] > begin]
        record = EpochRecord(
            epoch=epoch,
            step=state.global_step,
            checkpoint=folder.name,
            train_loss=math.fsum(losses) / len(losses),
            eval_loss=next(entry["eval_loss"] for entry in reversed(state.log_history) if "eval_loss" in entry),
            golden={metric.metric: metric.mean for metric in golden.metrics if metric.mean is not None},
            golden_n={metric.metric: metric.n for metric in golden.metrics},
            golden_stderr={metric.metric: metric.stderr for metric in golden.metrics},
            seconds=time.perf_counter() - started,
        )
        write_record(self.root, record)
        mark_complete(folder, record)
        epochs = self.epochs
        best = select_epoch(epochs, self.params.select_metric, self.params.select_direction).epoch
        prune(self.root, self.params.keep_checkpoints, [best])
        scores = ", ".join(f"{name} {value:.3f}" for name, value in record.golden.items())
        logger.info(
            "%s: epoch %d of %d: training loss %.3f, eval loss %.3f, golden dev %s",
            self.name,
            epoch,
            self.method.epochs,
            record.train_loss,
            record.eval_loss,
            scores,
        )
        self.clock.save()
        return self.stopped_early


@contextmanager
def _deterministic() -> Iterator[None]:
    """Let every operation that has a repeatable kernel use it, so that a resumed run ends in the same weights."""
    import torch

    before, fill = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = fill


def write_record(root: Path, record: EpochRecord) -> None:
    """Keep an epoch's record when its checkpoint is pruned."""
    from evalsuite.files import write_json

    write_json(root / "records" / f"epoch-{record.epoch:04d}.json", record)


def read_records(root: Path) -> dict[int, EpochRecord]:
    """Epoch -> record, for epochs up to the last complete checkpoint."""
    last = max((record.step for _, record in complete_checkpoints(root)), default=0)
    found = {}
    for path in sorted((root / "records").glob("epoch-*.json")):
        record = EpochRecord.model_validate_json(path.read_text(encoding="utf-8"))
        if record.step <= last:
            found[record.epoch] = record
    return found


def _callback(training: Training) -> Any:
    """What the trainer tells us, step by step."""
    from transformers import TrainerCallback

    class EpochCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
        def __init__(self) -> None:
            self.epoch_started = self.begun = time.perf_counter()
            self.first_step = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.begun = time.perf_counter()
            self.first_step = state.global_step
            for epoch in training.epochs:
                logger.info("%s: epoch %d was done before", training.name, epoch.epoch)
            packing, trained = training.params.packing, training.trained_parameters
            check_effective(training.plan, training.method, packing, trained, training.effective())

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.epoch_started = time.perf_counter()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
            loss = logs.get("loss", logs.get("eval_loss"))
            if loss is not None and not math.isfinite(loss):
                good = complete_checkpoints(training.root)
                kept = str(good[-1][0]) if good else "none"
                raise StageError(
                    f"{training.name}: the loss is {loss} at step {state.global_step}; last good checkpoint: {kept}; "
                    f"lower methods.{training.name}.learning_rate and run again"
                )
            if "loss" in logs:
                self._tell(state, logs)

        def _tell(self, state: Any, logs: dict[str, Any]) -> None:
            done, total = state.global_step - self.first_step, state.max_steps - self.first_step
            if done % max(1, total // 10) and state.global_step != state.max_steps:
                return
            pace = (time.perf_counter() - self.begun) / max(1, done)
            training.clock.save()
            logger.info(
                "%s: epoch %d of %d, step %d of %d, loss %.3f, %.1f s a step, %.0f s left before the last dev run",
                training.name,
                math.ceil(state.epoch),
                training.method.epochs,
                state.global_step,
                state.max_steps,
                logs["loss"],
                pace,
                pace * (total - done),
            )

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            check_disk(training.root, training.checkpoint_bytes)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            reason = training.finish_epoch(state, self.epoch_started)
            if reason is not None:
                logger.info("%s: stopping early: %s", training.name, reason)
                control.should_training_stop = True

    return EpochCallback()


def peak_memory_bytes() -> int:
    """Peak of the device where there is one, else of this process's resident memory."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
