"""What a kind of training owns: its model, what of it is trained, what it costs, its export and its checks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from tasks.config.methods import MethodParams
from tasks.config.numerics import Numerics
from tasks.methods.loading import compute_dtype, load_plain, load_split, trained_dtype


class Differences(NamedTuple):
    """Largest differences of a logit between what ships and what was trained."""

    merge_max_abs_difference: float | None = None
    """That a merge made; None where nothing was merged."""
    quantisation_max_abs_difference: float | None = None
    """From the 4-bit weights beside which the adapter was learnt; None where there were none."""


@dataclass(frozen=True)
class Method(ABC):
    """One kind, with the settings of one method of params.yaml; what is set here is known without them."""

    params: MethodParams
    frozen: ClassVar[bool]
    """Whether the base weights stay as they are, adapters beside them being trained."""
    usual_rates: ClassVar[tuple[float, float]]
    """Learning rates, from and to."""
    quantised: ClassVar[bool] = False
    """Whether the linear layers hold 4-bit weights, which are read from a file and not split between processes."""
    slowdown: ClassVar[float] = 1.0
    """Times that computing takes longer than with the same weights in bf16."""

    @staticmethod
    def linear_bytes(compute: int) -> float:
        """Of a frozen weight of a linear layer, where ``compute`` are those of the type that layers compute in."""
        return compute

    @property
    def needs_whole_weights(self) -> str | None:
        """The setting that reads whole base weights, so that no strategy may split them; None where none does."""
        return None

    @property
    def saves_twice(self) -> bool:
        """Whether a checkpoint holds the trained weights in a second form."""
        return False

    def load(self, folder: Path, numerics: Numerics, split: Any | None = None) -> Any:
        """The weights in ``folder`` as they are trained; ``split`` is transformers' DistributedConfig for FSDP2."""
        dtype = compute_dtype(numerics) if self.frozen else trained_dtype(numerics)
        return load_plain(folder, dtype) if split is None else load_split(folder, dtype, split)

    @abstractmethod
    def load_checkpoint(self, checkpoint: Path, base: Path, dtype: Any) -> Any:
        """A saved epoch, never quantised: complete weights, or those of ``base`` with the adapter on them."""

    def standalone(
        self, name: str, checkpoint: Path, base: Path, probes: Sequence[Sequence[int]]
    ) -> tuple[Any, Differences]:
        """Complete fp32 weights of a saved epoch.

        Raises:
            StageError: A merge changed the logits of ``probes`` (token ids); names the method by ``name``.
        """
        import torch

        return self.load_checkpoint(checkpoint, base, torch.float32), Differences()

    def adapter(self, goes_on: bool = False) -> Any | None:
        """Peft's configuration; None where all weights are trained.

        With ``goes_on`` a checkpoint's adapter replaces this one, so that its start need not be computed.
        """
        return None

    def check_targets(self, model: Any) -> None:  # noqa: B027  where all is trained there is none
        """Refuse target modules that are not there or take no adapter: UsageError, ``target_modules = ...``."""

    def begin(self, name: str, model: Any, root: Path, first: bool) -> None:  # noqa: B027  seldom needed
        """Before the first step: keep in ``root`` what ``complete`` and a resume need; the ``first`` process writes."""

    def complete(self, checkpoint: Path, root: Path) -> None:  # noqa: B027  seldom needed
        """Put the weights just saved in ``checkpoint`` into the form that ``load_checkpoint`` reads."""

    def resume_folder(self, checkpoint: Path) -> Path:
        """Where the weights lie from which training goes on."""
        return checkpoint

    def effective(self) -> dict[str, bool]:
        """What ``read_effective`` must find of this kind."""
        return {"quantised": self.quantised}
