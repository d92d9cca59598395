"""Noise on the embeddings while training, and only then."""

from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.files import read_json
from tasks.config.params import load_params
from tasks.stages.train import run
from tasks.training import worker
from tests.tasks.stages.test_train import make_project

QUIET = {"kind": "full", "learning_rate": 1e-3, "epochs": 1}
METHODS = {"quiet": QUIET, "noisy": QUIET | {"neftune_noise_alpha": 5.0}}


def test_noise_changes_what_is_learnt_and_leaves_no_trace_in_what_is_exported(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    built: list[Any] = []
    build = worker.build_trainer

    def keep(*arguments: Any) -> Any:
        built.append(build(*arguments))
        return built[-1]

    monkeypatch.setattr(worker, "build_trainer", keep)
    paths = make_project(tmp_path, tiny_model, METHODS)
    quiet, noisy = (run(name, load_params(paths.params), paths) for name in METHODS)
    assert (quiet.effective["embedding_noise_alpha"], noisy.effective["embedding_noise_alpha"]) == (0.0, 5.0)
    # The first loss is of the same weights on the same rows: noise alone can move it.
    assert noisy.steps[0].loss != quiet.steps[0].loss
    assert noisy.steps[0].loss == pytest.approx(quiet.steps[0].loss, abs=1.0)
    embeddings = built[1].model.get_input_embeddings()
    assert not embeddings._forward_hooks
    exported: Any = AutoModelForCausalLM.from_pretrained(paths.export("noisy"))
    base: Any = AutoModelForCausalLM.from_pretrained(paths.export("base"))
    assert exported.state_dict().keys() == base.state_dict().keys()
    config = read_json(paths.export("noisy") / "config.json", "x")
    assert not [key for key in config if "neftune" in key or "noise" in key]
