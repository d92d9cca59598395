"""TRL's trainer, with the vocabulary projected at supervised positions only."""

import inspect
from functools import cache
from typing import Any

from tasks.objectives.documents import IGNORED


@cache
def supervised_trainer() -> Any:
    """The trainer's class (TRL is heavy: it is imported on the first call)."""
    from trl import SFTTrainer

    class SupervisedTrainer(SFTTrainer):  # type: ignore[misc]  # trl is untyped
        """Gives TRL's loss. On a CPU, TRL 1.16 projects every position, prompts included, and once more backwards."""

        def why_full_logits(self) -> str | None:
            """Why TRL's own loss runs instead; None where it does not."""
            if self.model.device.type != "cpu":
                return "on a GPU TRL's loss runs tile by tile"
            if self.aux_loss_enabled:
                return "the experts' router has a loss of its own"
            return None if _takes_positions(self) else "the model cannot leave out positions (logits_to_keep)"

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Mean negative log likelihood of the supervised tokens, in nats (sum over ``num_items_in_batch``)."""
            labels = inputs["labels"]
            if return_outputs or self.why_full_logits() is not None:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            from tasks.training.optim.loss import cross_entropy_in_place

            targets = labels[:, 1:]
            supervised = targets != IGNORED
            positions = supervised.any(dim=0).nonzero().squeeze(-1)
            tensors = {name: value for name, value in inputs.items() if name not in ("labels", "use_cache")}
            logits = model(**tensors, use_cache=False, logits_to_keep=positions).logits.float()
            kept = supervised[:, positions]
            logits = logits.flatten(0, 1) if bool(kept.all()) else logits[kept]
            count = float(kept.sum() if num_items_in_batch is None else num_items_in_batch)
            scale = 1 / max(count, 1.0)
            if self.args.average_tokens_across_devices and num_items_in_batch is not None:
                scale *= self.accelerator.num_processes
            return cross_entropy_in_place(logits, targets[:, positions][kept], scale)

    return SupervisedTrainer


def _takes_positions(trainer: Any) -> bool:
    model = trainer.accelerator.unwrap_model(trainer.model)
    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(type(model).forward).parameters
