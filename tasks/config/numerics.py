"""Number types that training uses, and the optimizer's states: planned, run and verified by these names."""

from enum import StrEnum


class Numerics(StrEnum):
    """Types of weights, compute and optimizer states."""

    FP32 = "fp32"
    MIXED = "mixed"
    """fp32 weights and states, bf16 compute."""
    BF16_FP32_STATES = "bf16_fp32_states"
    """bf16 weights and gradients, fp32 states."""
    PURE_BF16 = "pure_bf16"
    """Everything bf16: what torch's AdamW does with a bf16 model."""

    @property
    def bf16_weights(self) -> bool:
        """Whether the weights that are trained are bf16, with no fp32 copy of them anywhere."""
        return self in (Numerics.BF16_FP32_STATES, Numerics.PURE_BF16)

    @property
    def weight_bytes(self) -> int:
        """Bytes of one trained weight, as it is loaded and saved."""
        return 2 if self.bf16_weights else 4


class Optimizer(StrEnum):
    """AdamW with states in full precision or in 8 bits (Dettmers et al. 2022, arXiv:2110.02861)."""

    ADAMW = "adamw"
    ADAMW_8BIT = "adamw_8bit"
    PAGED_ADAMW_8BIT = "paged_adamw_8bit"
    """8-bit states that move to the machine's memory when the GPU's is full (CUDA's unified memory)."""

    @property
    def eight_bit(self) -> bool:
        """Whether a state takes one byte."""
        return self is not Optimizer.ADAMW

    def state_bytes(self, numerics: Numerics) -> float:
        """Bytes of both optimizer states of a parameter.

        8-bit states have one fp32 scale per 256 values (bitsandbytes 0.50.2, optimizer blocksize 256).
        """
        if self.eight_bit:
            return 2 * (1 + 4 / 256)
        return 4.0 if numerics is Numerics.PURE_BF16 else 8.0
