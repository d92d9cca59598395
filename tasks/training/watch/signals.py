"""Speed, utilisation and memory of each logged step, beside the loss that the trainer logs."""

import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.config.methods import MethodKind
from tasks.objectives.documents import Example
from tasks.training.state.log import StepRecord


class Meter:
    """Counts non-padding tokens and the time that steps take, without dev runs and checkpoints."""

    def __init__(self) -> None:
        """Nothing is counted before the first ``go_on``."""
        self._counted: list[Any] = []
        self._seconds = 0.0
        self._since: float | None = None

    def count(self, inputs: Mapping[str, Any]) -> None:
        """Note a micro-batch; its tokens stay where they are until ``take``, so that a GPU need not wait."""
        mask = inputs.get("attention_mask")
        self._counted.append(inputs["input_ids"].numel() if mask is None else mask.sum())

    def go_on(self) -> None:
        """A step begins."""
        if self._since is None:
            self._since = time.perf_counter()

    def pause(self) -> None:
        """What follows is no step."""
        if self._since is not None:
            self._seconds += time.perf_counter() - self._since
            self._since = None

    def take(self) -> tuple[int, float]:
        """This process's tokens and seconds since the last call."""
        running = self._since is not None
        self.pause()
        taken = sum(map(int, self._counted)), self._seconds
        self._counted, self._seconds = [], 0.0
        if running:
            self.go_on()
        return taken


class Peak:
    """What the devices could compute at most, and what a token needs of it."""

    def __init__(self, flops_per_token: float, flops_per_second: float | None) -> None:
        """Keep both; ``flops_per_second`` is None where no maker's figure is known, on a CPU for one."""
        self.flops_per_token, self.flops_per_second = flops_per_token, flops_per_second

    def utilisation(self, tokens_per_second: float) -> float | None:
        """Model FLOPs a second over the devices' peak (fraction 0..1), as PaLM defines it (arXiv:2204.02311, B)."""
        if self.flops_per_second is None:
            return None
        return tokens_per_second * self.flops_per_token / self.flops_per_second


def read_peak(base: Path, kind: MethodKind, rows: Sequence[Example], num_devices: int) -> Peak:
    """The peak for this model on this machine's devices.

    Args:
        base: Folder with config.json.
        kind: Of the method; frozen weights cost 4 FLOPs a token and parameter, trained ones 6.
        rows: Training rows: attention costs in proportion to their length.
        num_devices: Processes, one a device.
    """
    from tasks.planning.architecture import read_config
    from tasks.planning.hardware import detect_machines
    from tasks.planning.memory import Setup
    from tasks.planning.meta_device import count_parameters
    from tasks.planning.throughput import flops_per_token

    lengths = [len(row.input_ids) for row in rows]
    context = round(sum(length**2 for length in lengths) / sum(lengths))
    flops = flops_per_token(count_parameters(read_config(base)), Setup(kind=kind, trained=0), context)
    device = detect_machines().device
    known = device.cuda and not device.assumed
    return Peak(flops, device.flops * num_devices if known else None)


def read_steps(history: Iterable[Mapping[str, Any]]) -> tuple[StepRecord, ...]:
    """The optimizer steps of a trainer's ``log_history``."""
    fields = set(StepRecord.model_fields)
    return tuple(
        StepRecord.model_validate({name: value for name, value in entry.items() if name in fields})
        for entry in history
        if "loss" in entry
    )


def signals_callback(training: Any, peak_memory_bytes: Callable[[], int]) -> Any:
    """The callback that adds the signals of one ``worker.Training`` to what its trainer logs; it must come first.

    They stand in the trainer's history, so that checkpoints keep them and every other callback is told them.

    Args:
        training: With its trainer, its processes and its ``peak``.
        peak_memory_bytes: Of this process, so far.
    """
    from transformers import TrainerCallback

    meter: Meter = training.trainer.meter

    class SignalsCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            meter.pause()
            meter.take()

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            meter.go_on()

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            meter.pause()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
            if "loss" not in logs:
                return
            own, seconds = meter.take()
            tokens = sum(training.ranks.gather(own))
            speed = tokens / seconds
            found = {
                "tokens": tokens,
                "tokens_per_second": speed,
                "model_flops_utilisation": training.peak.utilisation(speed),
                "peak_memory_bytes": max(training.ranks.gather(peak_memory_bytes())),
            }
            told = {name: value for name, value in found.items() if value is not None}
            logs.update(told)
            state.log_history[-1].update(told)

    return SignalsCallback()


def peak_memory_bytes() -> int:
    """Peak of the device where there is one, else of this process's resident memory."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
