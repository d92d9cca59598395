"""From the selected checkpoint to complete, standalone weights."""

import shutil
import tempfile
from pathlib import Path

from evalsuite.core.identity import ModelManifest, read_manifest, write_manifest
from tasks.methods.loading import shipped_dtype
from tasks.methods.method import Differences
from tasks.training.job import Job
from tasks.training.rows.inputs import Inputs
from tasks.training.state.checkpoints import check_disk

NUM_PROBES = 4
TEMPORARY_PREFIX = ".export-"


def export(job: Job, checkpoint: Path, inputs: Inputs) -> tuple[ModelManifest, Differences]:
    """Write the method's export: weights in the base's own type, tokenizer, chat template and, last, the manifest.

    Raises:
        StageError: The merge changed the logits by more than rounding explains, or the disk is full; nothing is
            exported.
    """
    from transformers import GenerationConfig

    base, target = job.base, job.paths.export(job.name)
    probes = [example.input_ids for example in inputs.dev[:NUM_PROBES]]
    model, differences = job.method.standalone(job.name, checkpoint, base, probes)
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
        inputs.tokenizer.save_pretrained(folder)
        source = f"{job.name}: {job.method.params.kind} of {read_manifest(base, 'ratchet stage fetch').identity}"
        manifest = write_manifest(folder, source, parameters)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return manifest, differences
