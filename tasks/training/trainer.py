"""TRL's SFTTrainer as Ratchet runs it: the same rows a step for any number of processes, and FSDP2 that can go on."""

import math
from pathlib import Path
from typing import Any

from evalsuite.core.errors import StageError, UsageError
from tasks.config.launch import Strategy
from tasks.config.numerics import Numerics
from tasks.methods.loading import trained_dtype
from tasks.methods.method import Method
from tasks.training.job import Job
from tasks.training.optim.accelerations import has_liger
from tasks.training.optim.attention import choose_attention
from tasks.training.optim.supervised import supervised_trainer
from tasks.training.parallel.strategies import deepspeed_config, sharded_loading
from tasks.training.rows.inputs import Inputs
from tasks.training.rows.order import EpochOrder, filler
from tasks.training.state.checkpoints import last_good
from tasks.training.watch.signals import Meter

OPTIMIZER_FOLDER = "optimizer"
"""Of FSDP2's split optimizer state, in a checkpoint."""


def build_trainer(job: Job, inputs: Inputs, resume: Path | None = None) -> Any:
    """The trainer of one job in this process.

    Args:
        job: What is trained, and how.
        inputs: Rows and tokenizer.
        resume: The checkpoint from which training goes on; None where it begins.

    Raises:
        UsageError: A target module is not there or takes no adapter, or PiSSA's rank is larger than a base weight.
    """
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTConfig

    from tasks.training.optim.optimizers import optimizer_class

    method, params, plan = job.method, job.params, job.plan
    recipe = method.params
    cuda = plan.device == "cuda"
    steps = math.ceil(len(inputs.train) / params.batch_size) * recipe.epochs
    round_size = params.micro_batch_size * plan.num_processes
    order = EpochOrder(
        lengths=[len(example.input_ids) for example in inputs.train],
        seed=params.seed,
        batch_size=params.batch_size,
        by_length=not params.packing,
        round_size=round_size if plan.num_processes > 1 else 1,
        micro_batch_size=params.micro_batch_size,
    )
    fsdp2 = plan.strategy is Strategy.FSDP2
    config = SFTConfig(
        output_dir=str(job.root),
        per_device_train_batch_size=params.micro_batch_size,
        per_device_eval_batch_size=params.micro_batch_size,
        gradient_accumulation_steps=params.batch_size // round_size,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.rates[0],
        lr_scheduler_type="cosine",
        warmup_steps=math.ceil(recipe.warmup_ratio * steps),
        weight_decay=recipe.weight_decay,
        neftune_noise_alpha=recipe.neftune_noise_alpha,
        bf16=plan.numerics is Numerics.MIXED,
        activation_checkpointing=params.gradient_checkpointing,
        logging_steps=max(1, steps // 500),
        eval_strategy="epoch",
        save_strategy="epoch",
        save_only_model=fsdp2,
        seed=params.seed,
        data_seed=params.seed,
        max_length=None,
        padding_free=params.packing,
        use_liger_kernel=has_liger(cuda),
        dataset_kwargs={"skip_prepare_dataset": True},
        deepspeed=deepspeed_config(plan),
        ddp_find_unused_parameters=False if plan.num_processes > 1 else None,
        use_cpu=not cuda,
        dataloader_pin_memory=cuda,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
    )
    split = sharded_loading(plan)
    chosen = optimizer_class(plan, params.seed)
    if chosen is not None:
        shared = {"lr": config.learning_rate, "betas": (config.adam_beta1, config.adam_beta2)}
        chosen = chosen[0], {**shared, "eps": config.adam_epsilon, **chosen[1]}
    rows = [*inputs.train, *[filler(inputs.train[0])] * order.num_fillers]
    # transformers loads a model that FSDP2 splits from its checkpoint, not into the split model.
    source = resume if split and resume and not method.frozen else job.base
    model = method.load(source, plan.numerics, split)
    choose_attention(model, params.packing, provable=plan.strategy.zero_stage != 3)
    try:
        method.check_targets(model)
    except UsageError as error:
        raise UsageError(f"methods.{job.name}.{error}") from None
    trainer = _trainer_class(inputs.objective.trainer(supervised_trainer()))(
        model=model,
        args=config,
        train_dataset=Dataset.from_list([example._asdict() for example in rows]),
        eval_dataset=Dataset.from_list([example._asdict() for example in inputs.dev]),
        processing_class=inputs.tokenizer,
        peft_config=method.adapter(goes_on=resume is not None),
        optimizer_cls_and_kwargs=chosen,
    )
    method.begin(job.name, trainer.model, job.root, trainer.args.should_save)
    trainer.method = method
    trainer.remove_callback(PrinterCallback)
    trainer.order = order
    trainer.meter = Meter()
    trainer.keeps_full_weights = bool(split) and not method.frozen
    if fsdp2:
        # transformers refuses to save what it cannot load again; this class can.
        trainer.args.save_only_model = False
    # TRL turns the adapter of a quantised model into bf16: small steps vanish, and a CPU computes it far slower.
    dtype = trained_dtype(plan.numerics)
    for parameter in trainer.model.parameters():
        if parameter.requires_grad and parameter.dtype is not dtype:
            parameter.data = parameter.data.to(dtype)
    return trainer


def _trainer_class(base: Any) -> Any:
    from transformers.distributed.checkpoint import load_optimizer_distributed, save_optimizer_distributed

    class Trainer(base):  # type: ignore[misc]  # trl is untyped
        """The objective's trainer with our order of rows and FSDP2's optimizer in its checkpoints."""

        order: EpochOrder
        keeps_full_weights: bool
        meter: Meter
        method: Method

        def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
            self.meter.count(inputs)
            return super().training_step(model, inputs, num_items_in_batch)

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return self.order

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            try:
                super()._save_checkpoint(model, trial)
            except Exception as error:  # safetensors, torch and the system each have their own for a full disk
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise StageError(
                    f"the checkpoint of step {self.state.global_step} could not be written ({reason}); last good "
                    f"checkpoint: {last_good(Path(self.args.output_dir))}; free some space and run the stage again"
                ) from error

        def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
            if self.is_distributed_loading_by_transformers:
                save_optimizer_distributed(self.model, _plain(self.optimizer), str(Path(output_dir) / OPTIMIZER_FOLDER))
                self._save_scheduler(output_dir)
            else:
                super()._save_optimizer_and_scheduler(output_dir)

        def _save_scheduler(self, output_dir: str) -> None:
            import torch

            if self.args.should_save:
                torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / "scheduler.pt")

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            super()._save(output_dir, state_dict)
            if self.args.should_save:
                self.method.complete(Path(output_dir or self.args.output_dir), Path(self.args.output_dir))

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            if not self.keeps_full_weights:
                folder = self.method.resume_folder(Path(resume_from_checkpoint))
                super()._load_from_checkpoint(str(folder), model)

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            if checkpoint is None or not self.is_distributed_loading_by_transformers:
                super()._load_optimizer_and_scheduler(checkpoint)
                return
            import torch

            load_optimizer_distributed(self.model, _plain(self.optimizer), str(Path(checkpoint) / OPTIMIZER_FOLDER))
            self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / "scheduler.pt", weights_only=True))

    return Trainer


def _plain(optimizer: Any) -> Any:
    """Torch's optimizer, without accelerate's wrapper."""
    return getattr(optimizer, "optimizer", optimizer)
