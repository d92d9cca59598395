"""The base model's complete bytes, from a hub, a folder or an installed package."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.identity import ModelManifest, write_manifest
from evalsuite.network.hub import HubRepo, RepoKind, address, check_commit, here, reach
from evalsuite.network.model_source import ModelSource, resolve_model
from evalsuite.network.network_errors import is_network_error, said_by
from tasks.base_model.template_settings import check_template, read_template, settle_other, settle_template
from tasks.config.model import ModelParams


def check_model(params: ModelParams) -> None:
    """Refuse what cannot be fetched, or may be something else tomorrow; loads and downloads nothing.

    Raises:
        UsageError: No such folder or package, a hub id without a commit, or a chat template that cannot be read.
    """
    source = resolve_model(params.id)
    if source.hub_id is not None:
        check_commit("model.id", params.id, params.revision, "model.revision")
    check_template(params)


def export_model(params: ModelParams, target: Path, needs_chat_template: bool = True) -> ModelManifest:
    """Write a model's complete bytes to ``target``, the manifest last; see ``run``.

    Args:
        params: Where the bytes come from, and the settings that become part of the chat template.
        target: The folder.
        needs_chat_template: Whether the template is one to train with. Else a model without one is taken too, and so
            is a template that does not read every setting.
    """
    source = resolve_model(params.id)
    if source.hub_id is not None and params.revision is None:
        raise UsageError(
            f"model.id = {params.id!r} is a hub id: set model.revision to a commit, so that it never changes"
        )
    if source.hub_id is not None and params.revision is not None:
        repo = HubRepo(RepoKind.MODEL, source.hub_id, params.revision)
        if here(repo) is None:
            reach(repo, "model.id", "name a folder or package:NAME in model.id")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as temporary:
        folder = Path(temporary) / "export"
        num_parameters = _save(source, params, folder, needs_chat_template)
        manifest = write_manifest(folder, source=params.id + (f"@{params.revision}" if params.revision else ""))
        manifest = write_manifest(folder, source=manifest.source, num_parameters=num_parameters)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return manifest


def _save(source: ModelSource, params: ModelParams, folder: Path, needs_chat_template: bool) -> int:
    """Save weights and tokenizer; returns the number of parameters."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    name: Any = source.folder if source.folder is not None else source.hub_id
    options: dict[str, Any] = {"trust_remote_code": params.trust_remote_code}
    if source.gguf is not None:
        options["gguf_file"] = source.gguf
    if source.hub_id is not None:
        options["revision"] = params.revision
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(name, dtype=_dtype(source), **options)
        tokenizer: Any = AutoTokenizer.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        if is_network_error(error):
            raise StageError(
                f"model {params.id!r}: the download from {address()} stopped ({said_by(error)}); go online, then run "
                "the stage again to go on"
            ) from None
        reason = str(error).strip().splitlines()[0]
        raise StageError(f"model {params.id!r} cannot be loaded: {reason}; check model.id and model.revision") from None
    if params.chat_template is not None:
        tokenizer.chat_template = read_template(params.chat_template)
    if needs_chat_template and not tokenizer.chat_template:
        raise UsageError(f"model {params.id!r} has no chat template; name a Jinja file in model.chat_template")
    (settle_template if needs_chat_template else settle_other)(tokenizer, params)
    if source.gguf is not None:
        # A dequantised GGUF stays marked as quantised, and such a model refuses to be saved.
        config = model.config
        config.quantization_config = None
        del config.quantization_config
        weights = model.state_dict()
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model.load_state_dict(weights)
    needed = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    free = shutil.disk_usage(folder.parent).free
    if free < 1.2 * needed:
        raise StageError(f"{needed / 2**30:.1f} GiB of weights and {free / 2**30:.1f} GiB of disk: free some space")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return int(sum(parameter.numel() for parameter in model.parameters()))


def _dtype(source: ModelSource) -> Any:
    """GGUF weights are dequantised to fp32; others keep the type they were published in."""
    import torch

    return torch.float32 if source.gguf is not None else "auto"
