"""Fine-tune by one method: a checkpoint and a golden dev run an epoch, then the best epoch's standalone weights.

Run:  python -m tasks.train METHOD

A run that was killed goes on from its last complete checkpoint to the same weights.
"""

import logging
import sys
import time
from typing import Any

from evalsuite.errors import UsageError
from evalsuite.files import read_json, sha256_file, write_json
from evalsuite.identity import verify_manifest
from tasks.entry import stage_main
from tasks.params import MethodKind, Params
from tasks.paths import ArtifactPaths
from tasks.training.checkpoints import complete_checkpoints, digest, open_root
from tasks.training.epoch_eval import DevRunner
from tasks.training.examples import read_examples
from tasks.training.export import export
from tasks.training.log import TrainLog
from tasks.training.selection import select_epoch
from tasks.training.worker import Training, check_effective, peak_memory_bytes

logger = logging.getLogger(__name__)


def run(name: str, params: Params, paths: ArtifactPaths) -> TrainLog:
    """Train, select, export; models/NAME/train_log.json is written last.

    Raises:
        UsageError: A row, a target module or the golden set is not as it must be.
        StageError: The loss is not a number, the disk is full, or the merge went wrong.
        MissingArtifactError: An earlier stage's output is absent.
    """
    from transformers import AutoTokenizer

    method, base, root = params.methods[name], paths.export("base"), paths.checkpoints(name)
    paths.train_log(name).unlink(missing_ok=True)
    identity = verify_manifest(base, "ratchet stage fetch").identity
    open_root(root, _fingerprint(name, params, paths, identity))
    tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    train = read_examples(paths.prepared / "train.jsonl", tokenizer, params.train.max_length_tokens)
    dev = read_examples(paths.prepared / "dev.jsonl", tokenizer, params.train.max_length_tokens)
    clock = _Clock(paths, name)
    dev_runner = DevRunner(params.evaluation, base, method, tokenizer)
    training = Training(name, method, params.train, base, root, tokenizer, train, dev, dev_runner)
    resumed = tuple(record.step for _, record in complete_checkpoints(root)[-1:])
    clock.add_resume(resumed)
    training.run()
    effective = training.effective()
    check_effective(method, training.trainable_parameters, training.total_parameters, effective)
    clock.stop()
    selection = select_epoch(training.epochs, params.train.select_metric, params.train.select_direction)
    record = next(record for record in training.epochs if record.epoch == selection.epoch)
    checkpoint = root / record.checkpoint
    exported = export(name, method, checkpoint, base, paths.export(name), tokenizer, dev)
    adapter = checkpoint / "adapter_model.safetensors"
    log = TrainLog(
        method=name,
        kind=method.kind,
        config=_flat({"method": method.model_dump(mode="json"), "train": params.train.model_dump(mode="json")}),
        steps=training.steps(),
        epochs=training.epochs,
        selected_epoch=selection.epoch,
        selected_because=selection.because,
        stopped_early=training.stopped_early,
        resumed_from_steps=clock.resumed,
        num_examples=len(train),
        num_tokens=sum(len(example.input_ids) for example in train) * len(training.epochs),
        trainable_parameters=training.trainable_parameters,
        total_parameters=training.total_parameters,
        train_seconds=clock.seconds,
        peak_memory_bytes=peak_memory_bytes(),
        adapter_bytes=adapter.stat().st_size if method.kind is not MethodKind.FULL else None,
        effective=effective,
        merge_max_abs_difference=exported.merge_max_abs_difference,
        identity=exported.manifest.identity,
    )
    write_json(paths.train_log(name), log)
    return log


class _Clock:
    """Wall time over all attempts, so that a resumed run does not look cheap."""

    def __init__(self, paths: ArtifactPaths, name: str) -> None:
        self._path = paths.checkpoints(name) / "clock.json"
        before: dict[str, Any] = {"seconds": 0.0, "resumed": []}
        if self._path.is_file():
            before = read_json(self._path, f"ratchet stage train@{name}")
        self._before = float(before["seconds"])
        self.resumed: tuple[int, ...] = tuple(before["resumed"])
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self._before + self._elapsed

    def add_resume(self, steps: tuple[int, ...]) -> None:
        self.resumed = (*self.resumed, *steps)
        write_json(self._path, {"seconds": self._before, "resumed": list(self.resumed)})

    def stop(self) -> None:
        self._elapsed = time.perf_counter() - self._started
        write_json(self._path, {"seconds": self.seconds, "resumed": list(self.resumed)})


def _fingerprint(name: str, params: Params, paths: ArtifactPaths, identity: str) -> dict[str, str]:
    """What the checkpoints depend on."""
    return {
        "method": digest(params.methods[name].model_dump(mode="json")),
        "train": digest(params.train.model_dump(mode="json")),
        "evaluation": digest(params.evaluation.golden.model_dump(mode="json")),
        "plan": digest(read_json(paths.plans / f"{name}.launch.json", f"ratchet stage plan@{name}")),
        "train rows": sha256_file(paths.prepared / "train.jsonl"),
        "dev rows": sha256_file(paths.prepared / "dev.jsonl"),
        "base model": identity,
    }


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, str | int | float | bool | None]:
    flat: dict[str, str | int | float | bool | None] = {}
    for key, entry in value.items():
        if isinstance(entry, dict):
            flat |= _flat(entry, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = ", ".join(entry) if isinstance(entry, list | tuple) else entry
    return flat


def main(arguments: list[str] | None = None) -> int:
    """Run the stage for the method named on the command line."""
    names = sys.argv[1:] if arguments is None else arguments

    def stage(params: Params, paths: ArtifactPaths) -> str:
        if len(names) != 1 or names[0] not in params.methods:
            raise UsageError(f"train takes one method, got {names}; methods: {', '.join(params.methods)}")
        log = run(names[0], params, paths)
        return (
            f"{log.method}: epoch {log.selected_epoch} of {len(log.epochs)} selected ({log.selected_because}); "
            f"{log.num_tokens:,} tokens in {log.train_seconds:.0f} s, identity {log.identity[:16]}"
        )

    return stage_main(stage)


if __name__ == "__main__":
    raise SystemExit(main())
