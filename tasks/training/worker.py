"""Fine-tuning by TRL's SFTTrainer, one complete checkpoint and one golden dev run an epoch."""

import logging
import math
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evalsuite.errors import StageError, UsageError
from tasks.params import MethodKind, MethodParams, TrainParams
from tasks.training.checkpoints import check_disk, complete_checkpoints, mark_complete, prune
from tasks.training.epoch_eval import DevRunner
from tasks.training.examples import Example
from tasks.training.log import EpochRecord, StepRecord
from tasks.training.models import adapter_config, compute_dtype, load_trainable
from tasks.training.selection import divergence, select_epoch

logger = logging.getLogger(__name__)

ADAM_STATES = 2
"""Optimizer tensors a parameter that is trained (AdamW: both moments)."""


class Training:
    """One method's run: the trainer, and what it writes after each epoch."""

    def __init__(
        self,
        name: str,
        method: MethodParams,
        params: TrainParams,
        base: Path,
        root: Path,
        tokenizer: Any,
        train: Sequence[Example],
        dev: Sequence[Example],
        dev_runner: DevRunner,
    ) -> None:
        """Build model and trainer; ``root`` holds the checkpoints.

        Raises:
            UsageError: The adapter's target modules match nothing.
        """
        from transformers import set_seed

        self.name = name
        self.method = method
        self.params = params
        self.root = root
        self.dev_runner = dev_runner
        set_seed(params.seed)
        self.trainer = self._build_trainer(base, tokenizer, train, dev)
        model = self.trainer.model
        self.trainable_parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
        self.total_parameters = int(model.num_parameters())
        self.checkpoint_bytes = self._checkpoint_bytes()
        self.stopped_early: str | None = None
        self.failure: StageError | None = None

    def run(self) -> None:
        """Train to the end, from the last complete checkpoint where there is one.

        Raises:
            StageError: The loss is not a number, or the disk is full; the last good checkpoint is named.
        """
        done = complete_checkpoints(self.root)
        check_disk(self.root, self.checkpoint_bytes)
        resume = str(done[-1][0]) if done else None
        if resume is not None:
            logger.info("%s: going on from %s", self.name, resume)
        self.trainer.train(resume_from_checkpoint=resume)
        if self.failure is not None:
            raise self.failure

    @property
    def epochs(self) -> tuple[EpochRecord, ...]:
        """Records of the checkpoints that are complete, oldest first, those pruned included."""
        return tuple(sorted(self._records.values(), key=lambda record: record.epoch))

    @property
    def _records(self) -> dict[int, EpochRecord]:
        return read_records(self.root)

    def steps(self) -> tuple[StepRecord, ...]:
        """Every logged optimizer step, those before a resume included."""
        return tuple(
            StepRecord(
                step=entry["step"],
                epoch=entry["epoch"],
                loss=entry["loss"],
                learning_rate=entry["learning_rate"],
                grad_norm=entry.get("grad_norm"),
            )
            for entry in self.trainer.state.log_history
            if "loss" in entry
        )

    def effective(self) -> dict[str, str | int | float | bool]:
        """What really runs, read from the model, the trainer and its optimizer."""
        model, trainer = self.trainer.model, self.trainer
        trained = next(p for p in model.parameters() if p.requires_grad)
        return {
            "device": str(model.device),
            "trained_dtype": str(trained.dtype).removeprefix("torch."),
            "attention": str(model.config._attn_implementation),
            "optimizer": type(getattr(trainer.optimizer, "optimizer", trainer.optimizer)).__name__,
            "padding_free": bool(trainer.padding_free),
            "distributed_type": str(trainer.accelerator.distributed_type.value),
            "num_processes": int(trainer.accelerator.num_processes),
            "gradient_checkpointing": bool(trainer.args.activation_checkpointing),
            "autocast": "bf16" if trainer.args.bf16 else "none",
            "quantised": bool(getattr(model, "is_loaded_in_4bit", False)),
        }

    def _build_trainer(self, base: Path, tokenizer: Any, train: Sequence[Example], dev: Sequence[Example]) -> Any:
        import torch
        from datasets import Dataset
        from transformers import PrinterCallback
        from trl import SFTConfig, SFTTrainer

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
            trainer = SFTTrainer(
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
        if not cuda:
            # TRL turns the adapter of a quantised model into bf16, which this kind of processor computes far slower.
            for parameter in trainer.model.parameters():
                if parameter.requires_grad:
                    parameter.data = parameter.data.float()
        return trainer

    def _checkpoint_bytes(self) -> int:
        trained = sum(p.numel() * p.element_size() for p in self.trainer.model.parameters() if p.requires_grad)
        return int(1.05 * trained * (1 + ADAM_STATES)) + 2**24

    def finish_epoch(self, state: Any, started: float) -> str | None:
        """Run the golden dev set on the checkpoint just saved, complete it, prune; says why to stop, if so."""
        folder = self.root / f"checkpoint-{state.global_step}"
        epoch = round(state.epoch)
        golden = self.dev_runner.run(folder)
        begin = max((record.step for record in self._records.values()), default=0)
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
        return divergence(epochs, self.params.divergence_gap, self.params.divergence_patience)


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

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.epoch_started = time.perf_counter()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
            loss = logs.get("loss", logs.get("eval_loss"))
            if loss is not None and not math.isfinite(loss):
                good = complete_checkpoints(training.root)
                kept = str(good[-1][0]) if good else "none"
                training.failure = StageError(
                    f"{training.name}: the loss is {loss} at step {state.global_step}; last good checkpoint: {kept}; "
                    f"lower methods.{training.name}.learning_rate and run again"
                )
                raise training.failure
            if "loss" in logs:
                self._tell(state, logs)

        def _tell(self, state: Any, logs: dict[str, Any]) -> None:
            done, total = state.global_step - self.first_step, state.max_steps - self.first_step
            if done % max(1, total // 10) and state.global_step != state.max_steps:
                return
            pace = (time.perf_counter() - self.begun) / max(1, done)
            logger.info(
                "%s: step %d of %d, loss %.3f, %.1f s a step, %.0f s left before the last dev run",
                training.name,
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
                training.stopped_early = reason
                control.should_training_stop = True

    return EpochCallback()


def peak_memory_bytes() -> int:
    """Peak of the device where there is one, else of this process's resident memory."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def check_effective(method: MethodParams, trainable: int, total: int, effective: dict[str, Any]) -> None:
    """Stop when what runs is not what was asked for.

    Raises:
        StageError: Names the field with both values.
    """
    wanted = {"quantised": method.kind is MethodKind.QLORA, "num_processes": 1}
    for name, value in wanted.items():
        if effective[name] != value:
            raise StageError(f"effective {name} is {effective[name]!r}, asked for {value!r}")
    complete = method.kind is MethodKind.FULL
    if (trainable == total) != complete:
        raise StageError(f"{trainable:,} of {total:,} parameters would be trained by a method of kind {method.kind}")
