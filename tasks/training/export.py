"""From the selected checkpoint to complete, standalone weights."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import StageError
from evalsuite.core.identity import ModelManifest, read_manifest, write_manifest
from tasks.config.methods import MethodKind, MethodParams
from tasks.config.numerics import Numerics
from tasks.training.models import load_checkpoint, load_trainable, shipped_dtype
from tasks.training.rows.examples import Example
from tasks.training.state.checkpoints import check_disk

MERGE_TOLERANCE = 1e-3
"""Largest logit difference between merged and unmerged weights that fp32 rounding explains."""
NUM_PROBES = 4
TEMPORARY_PREFIX = ".export-"


class Export(NamedTuple):
    """What was written."""

    manifest: ModelManifest
    merge_max_abs_difference: float | None
    quantisation_max_abs_difference: float | None


def export(
    method_name: str,
    method: MethodParams,
    checkpoint: Path,
    base: Path,
    target: Path,
    tokenizer: Any,
    probes: Sequence[Example],
) -> Export:
    """Write ``target``: weights in the base's own type, tokenizer, chat template and, last, the manifest.

    Adapters, QLoRA's too, are merged in fp32 into the base's full-precision weights: QLoRA ships the base as it is plus
    an adapter that was learnt beside its 4-bit form. The merged model must give the logits of base plus adapter on a
    few dev rows; how far the 4-bit base with the same adapter lies from it is measured, and no reason to stop.

    Raises:
        StageError: The merge changed the logits by more than rounding explains, or the disk is full; nothing is
            exported.
    """
    import torch
    from transformers import GenerationConfig

    model = load_checkpoint(checkpoint, base, method, torch.float32)
    merged: float | None = None
    quantised: float | None = None
    if method.kind is not MethodKind.FULL:
        before = _logits(model, probes)
        model = model.merge_and_unload(safe_merge=True)
        after = _logits(model, probes)
        merged = _largest_difference(before, after)
        if not merged <= MERGE_TOLERANCE:
            raise StageError(
                f"merging {method_name}'s adapter changed a logit by {merged:.3g}, more than {MERGE_TOLERANCE}; "
                "nothing was exported"
            )
        if method.kind is MethodKind.QLORA:
            quantised = _largest_difference(after, _logits(_quantised(checkpoint, base, method), probes))
    dtype = shipped_dtype(base)
    parameters = int(model.num_parameters())
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f"{TEMPORARY_PREFIX}*"):
        shutil.rmtree(left)
    check_disk(target.parent, int(1.05 * parameters * dtype.itemsize), "the exported model needs")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=TEMPORARY_PREFIX) as temporary:
        folder = Path(temporary) / "export"
        if (base / "generation_config.json").is_file():
            model.generation_config = GenerationConfig.from_pretrained(base, local_files_only=True)
        model.to(dtype).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        source = f"{method_name}: {method.kind} of {read_manifest(base, 'ratchet stage fetch').identity}"
        manifest = write_manifest(folder, source, parameters)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return Export(manifest, merged, quantised)


def _quantised(checkpoint: Path, base: Path, method: MethodParams) -> Any:
    """The adapter on the 4-bit weights that it was learnt beside."""
    from peft import PeftModel

    return PeftModel.from_pretrained(load_trainable(base, method, Numerics.FP32), checkpoint, is_trainable=False)


def _largest_difference(left: Sequence[Any], right: Sequence[Any]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(left, right, strict=True))


def _logits(model: Any, probes: Sequence[Example]) -> list[Any]:
    import torch

    model.eval()
    with torch.inference_mode():
        return [
            model(input_ids=torch.tensor([probe.input_ids], device=model.device), use_cache=False).logits.float().cpu()
            for probe in probes[:NUM_PROBES]
        ]
