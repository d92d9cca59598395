"""From the selected checkpoint to complete, standalone weights."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.errors import StageError
from evalsuite.identity import ModelManifest, read_manifest, write_manifest
from tasks.params import MethodKind, MethodParams
from tasks.training.examples import Example
from tasks.training.models import load_checkpoint, load_plain

MERGE_TOLERANCE = 1e-3
"""Largest logit difference between merged and unmerged weights that fp32 rounding explains."""
NUM_PROBES = 4


class Export(NamedTuple):
    """What was written."""

    manifest: ModelManifest
    merge_max_abs_difference: float | None


def export(
    method_name: str,
    method: MethodParams,
    checkpoint: Path,
    base: Path,
    target: Path,
    tokenizer: Any,
    probes: Sequence[Example],
) -> Export:
    """Write ``target``: weights, tokenizer, chat template and, last, the manifest.

    Adapters, QLoRA's too, are merged into the base's full-precision weights; the merged model must give the logits of
    base plus adapter on a few dev rows.

    Raises:
        StageError: The merge changed the logits by more than rounding explains; nothing is exported.
    """
    model = load_checkpoint(checkpoint, base, method)
    difference = None
    if method.kind is not MethodKind.FULL:
        before = _logits(model, probes)
        model = model.merge_and_unload(safe_merge=True)
        difference = max(float((a - b).abs().max()) for a, b in zip(before, _logits(model, probes), strict=True))
        if not difference <= MERGE_TOLERANCE:
            raise StageError(
                f"merging {method_name}'s adapter changed a logit by {difference:.3g}, more than {MERGE_TOLERANCE}; "
                "nothing was exported"
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as temporary:
        folder = Path(temporary) / "export"
        model.generation_config = load_plain(base).generation_config
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        source = f"{method_name}: {method.kind} of {read_manifest(base, 'ratchet stage fetch').identity}"
        manifest = write_manifest(folder, source, int(parameters))
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return Export(manifest, difference)


def _logits(model: Any, probes: Sequence[Example]) -> list[Any]:
    import torch

    model.eval()
    with torch.inference_mode():
        return [
            model(input_ids=torch.tensor([probe.input_ids], device=model.device), use_cache=False).logits.float().cpu()
            for probe in probes[:NUM_PROBES]
        ]
