"""TRL's trainer, with the vocabulary projected at supervised positions only."""

import inspect
from functools import cache
from typing import Any

from tasks.training.examples import IGNORED


@cache
def supervised_trainer() -> Any:
    """The trainer's class (TRL is heavy: it is imported on the first call)."""
    from trl import SFTTrainer

    class SupervisedTrainer(SFTTrainer):  # type: ignore[misc]  # trl is untyped
        """Gives TRL's loss. On a CPU, TRL 1.16 projects every position, prompts included, and once more backwards."""

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Mean negative log likelihood of the supervised tokens, in nats (sum over ``num_items_in_batch``)."""
            labels = inputs["labels"]
            if return_outputs or labels.device.type != "cpu" or self.aux_loss_enabled or not _takes_positions(self):
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            from torch.nn.functional import cross_entropy

            targets = labels[:, 1:]
            supervised = targets != IGNORED
            positions = supervised.any(dim=0).nonzero().squeeze(-1)
            tensors = {name: value for name, value in inputs.items() if name not in ("labels", "use_cache")}
            logits = model(**tensors, use_cache=False, logits_to_keep=positions).logits
            kept = supervised[:, positions]
            loss = cross_entropy(logits[kept].float(), targets[:, positions][kept], reduction="sum")
            count = kept.sum() if num_items_in_batch is None else num_items_in_batch
            if self.args.average_tokens_across_devices and num_items_in_batch is not None:
                loss = loss * self.accelerator.num_processes
            return loss / (count.clamp(min=1) if hasattr(count, "clamp") else max(count, 1))

    return SupervisedTrainer


def _takes_positions(trainer: Any) -> bool:
    model = trainer.accelerator.unwrap_model(trainer.model)
    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(type(model).forward).parameters
