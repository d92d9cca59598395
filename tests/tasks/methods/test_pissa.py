"""PiSSA with NEFTune on the tiny model: what is saved fits the base model as it is, and a resume changes nothing."""

import signal
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import PreemptedError, UsageError
from tasks.config.methods import MethodParams
from tasks.config.params import load_params
from tasks.methods.kinds import method_of
from tasks.methods.loading import load_plain
from tasks.methods.pissa import INITIAL, TRAINED, convert, keep_initial
from tasks.paths import ArtifactPaths
from tasks.stages.train import run
from tasks.training.state.checkpoints import resumable_checkpoints
from tests.tasks.stages.test_train import make_project
from tests.tasks.training.test_worker import signalled

PISSA = {"kind": "lora", "learning_rate": 1e-3, "epochs": 2, "rank": 4, "init_lora_weights": "pissa"}
METHODS = {"pissa": PISSA | {"neftune_noise_alpha": 5.0}, "wide": PISSA | {"rank": 65}}


def logits(model: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model.eval()(input_ids=torch.arange(20)[None]).logits


def trained(tiny_model: Path, root: Path, **changes: Any) -> Any:
    """A PiSSA adapter some steps from its start, in a checkpoint that was just saved."""
    import torch
    from peft import get_peft_model

    method = MethodParams.model_validate(PISSA | changes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any = get_peft_model(load_plain(tiny_model, torch.float32), method_of(method).adapter())
        keep_initial("pissa", model, method, root, first=True)
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.data += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(root / "checkpoint-1")
    return model


@pytest.mark.parametrize("rslora", [False, True], ids=["alpha / rank", "rsLoRA"])
@pytest.mark.parametrize("start", ["pissa", "pissa_niter_4"])
def test_a_saved_adapter_gives_the_trained_logits_on_the_base_model_as_it_is(
    tiny_model: Path, tmp_path: Path, start: str, rslora: bool
) -> None:
    import torch
    from peft import PeftModel

    model = trained(tiny_model, tmp_path, init_lora_weights=start, use_rslora=rslora)
    convert(tmp_path / "checkpoint-1", tmp_path)
    loaded = PeftModel.from_pretrained(load_plain(tiny_model, torch.float32), tmp_path / "checkpoint-1")
    torch.testing.assert_close(logits(loaded), logits(model), rtol=0, atol=1e-4)
    base = logits(load_plain(tiny_model, torch.float32))
    assert float((logits(model) - base).abs().max()) > 0.1


def test_the_conversion_is_pefts_own(tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    model = trained(tiny_model, tmp_path)
    convert(tmp_path / "checkpoint-1", tmp_path)
    model.save_pretrained(tmp_path / "theirs", path_initial_model_for_weight_conversion=str(tmp_path / INITIAL))
    ours, theirs = (load_file(tmp_path / folder / "adapter_model.safetensors") for folder in ("checkpoint-1", "theirs"))
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(tensor) for name, tensor in theirs.items())


def test_before_the_first_step_the_model_gives_what_the_base_gives(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from peft import get_peft_model

    method = MethodParams.model_validate(PISSA)
    plain = load_plain(tiny_model, torch.float32)
    weight = plain.model.layers[0].mlp.up_proj.weight.detach().clone()
    before = logits(plain).clone()
    model: Any = get_peft_model(plain, method_of(method).adapter())
    keep_initial("pissa", model, method, tmp_path, first=True)
    part = model.base_model.model.model.layers[0].mlp.up_proj
    torch.testing.assert_close(logits(model), before, rtol=0, atol=1e-4)
    # The largest singular values are the adapter's: what is left begins with the fifth.
    left = torch.linalg.svdvals(part.get_base_layer().weight.detach())
    torch.testing.assert_close(left[:8], torch.linalg.svdvals(weight)[4:12], rtol=1e-4, atol=1e-5)
    goes_on: Any = get_peft_model(load_plain(tiny_model, torch.float32), method_of(method).adapter(goes_on=True))
    keep_initial("pissa", goes_on, method, tmp_path, first=True)
    again = goes_on.base_model.model.model.layers[0].mlp.up_proj
    assert torch.equal(again.get_base_layer().weight, part.get_base_layer().weight)


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[ArtifactPaths, ArtifactPaths]:
    """Trained in one go, and stopped within the second epoch."""
    unbroken, broken = (make_project(tmp_path_factory.mktemp(name), tiny_model, METHODS) for name in ("a", "b"))
    run("pissa", load_params(unbroken.params), unbroken)
    with signalled("step 6 of 8", signal.SIGTERM), pytest.raises(PreemptedError):
        run("pissa", load_params(broken.params), broken)
    within = resumable_checkpoints(broken.checkpoints("pissa"))[-1].folder
    assert (within / TRAINED).is_dir()
    run("pissa", load_params(broken.params), broken)
    return unbroken, broken


@pytest.mark.slow
def test_a_training_that_goes_on_ends_in_the_weights_of_an_unbroken_one(
    projects: tuple[ArtifactPaths, ArtifactPaths],
) -> None:
    unbroken, broken = (run("pissa", load_params(paths.params), paths) for paths in projects)
    assert broken.resumed_from_steps == (7,)
    assert broken.effective["embedding_noise_alpha"] == 5.0
    assert broken.resume_checks[0].resumed_loss == broken.resume_checks[0].saved_loss
    assert broken.identity == unbroken.identity
    assert [step.loss for step in broken.steps] == [step.loss for step in unbroken.steps]


@pytest.mark.slow
def test_a_finished_training_keeps_the_adapter_of_the_base_model_alone(
    projects: tuple[ArtifactPaths, ArtifactPaths],
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    paths = projects[0]
    log = run("pissa", load_params(paths.params), paths)
    assert log.merge_max_abs_difference is not None
    assert log.merge_max_abs_difference < 1e-4
    record = next(epoch for epoch in log.epochs if epoch.epoch == log.selected_epoch)
    folder = paths.checkpoints("pissa") / record.checkpoint
    assert not (folder / TRAINED).exists()
    adapted = PeftModel.from_pretrained(load_plain(paths.export("base"), torch.float32), folder)
    exported = AutoModelForCausalLM.from_pretrained(paths.export("pissa"), dtype=torch.float32)
    torch.testing.assert_close(logits(exported), logits(adapted), rtol=0, atol=1e-4)


def test_a_rank_above_a_weights_size_is_named_before_the_first_step(tmp_path: Path, tiny_model: Path) -> None:
    paths = make_project(tmp_path, tiny_model, METHODS)
    with pytest.raises(UsageError, match=r"methods\.wide\.rank = 65: .*self_attn\.q_proj is 64x64 and has fewer"):
        run("wide", load_params(paths.params), paths)
    assert not list(paths.checkpoints("wide").glob("checkpoint-*"))
