"""Signals against hand counts and published figures."""

import time
from pathlib import Path

import pytest

from evalsuite.core.files import read_json
from tasks.config.methods import MethodKind
from tasks.config.params import load_params
from tasks.objectives.documents import Example
from tasks.planning import hardware
from tasks.planning.hardware import Machines, find_device
from tasks.stages.train import run
from tasks.training.state.log import StepRecord
from tasks.training.watch.signals import Meter, Peak, read_peak, read_steps
from tests.tasks.stages.test_train import make_project

METHODS = {"lora": {"kind": "lora", "learning_rate": 1e-3, "epochs": 1, "rank": 4}}


def test_a_meter_counts_no_padding_and_no_time_outside_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    meter = Meter()
    meter.go_on()
    meter.count({"input_ids": torch.zeros(1, 7)})
    meter.count({"input_ids": torch.zeros(2, 7), "attention_mask": torch.tensor([[1, 1, 0], [1, 0, 0]])})
    now[0] = 4.0
    meter.pause()
    now[0] = 100.0
    meter.go_on()
    now[0] = 101.0
    assert meter.take() == (10, 5.0)
    now[0] = 103.0
    assert meter.take() == (0, 2.0)


def test_utilisation_is_what_palm_reports() -> None:
    """Chowdhery et al. 2022, appendix B: 238.3 thousand tokens a second on 6144 TPU v4 are 46.2% of their peak."""
    flops_per_token = 6 * 540.35e9 + 12 * 118 * 48 * 256 * 2048
    assert Peak(flops_per_token, 6144 * 275e12).utilisation(238.3e3) == pytest.approx(0.462, abs=5e-4)


def test_the_peak_is_the_makers_figure_for_all_devices_and_not_known_for_a_cpu(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [Example([1] * length, [1] * length) for length in (10, 30)]
    here = Machines(find_device("H100-80GB"), 8, 1)
    monkeypatch.setattr(hardware, "detect_machines", lambda: here)
    peak = read_peak(tiny_model, MethodKind.FULL, rows, 8)
    assert peak.flops_per_second == 8 * 989e12
    # 6 a parameter, and 12 times layers times width times half the context of the mean token, 25.
    parameters = read_peak(tiny_model, MethodKind.LORA, rows, 8).flops_per_token - 8 * 2 * 64 * 25 / 2
    assert peak.flops_per_token == 6 * parameters / 4 + 12 * 2 * 64 * 25 / 2
    monkeypatch.setattr(hardware, "detect_machines", lambda: Machines(hardware.this_cpu(), 1, 1))
    assert read_peak(tiny_model, MethodKind.FULL, rows, 1).utilisation(1e6) is None


def test_a_history_of_an_earlier_version_still_reads() -> None:
    old = [{"step": 1, "epoch": 0.5, "loss": 2.0, "learning_rate": 0.1, "mean_token_accuracy": 0.5}, {"eval_loss": 1.0}]
    assert read_steps(old) == (StepRecord(step=1, epoch=0.5, loss=2.0, learning_rate=0.1),)


@pytest.mark.parametrize("packing", [True, False])
def test_the_log_has_the_tokens_speed_and_memory_of_every_step(tmp_path: Path, tiny_model: Path, packing: bool) -> None:
    paths = make_project(tmp_path, tiny_model, METHODS)
    text = paths.params.read_text()
    paths.params.write_text(text.replace("packing: true", f"packing: {str(packing).lower()}"))
    log = run("lora", load_params(paths.params), paths)
    assert log.effective["padding_free"] is packing
    assert sum(step.tokens or 0 for step in log.steps) == log.num_tokens
    assert all(step.tokens_per_second and step.grad_norm for step in log.steps)
    assert [step.model_flops_utilisation for step in log.steps] == [None] * 4
    live = read_json(paths.live("lora") / "metrics.json", "x")
    assert live["train"]["loss"] == log.steps[-1].loss
    assert live["golden"] == log.epochs[-1].golden
    memory = [step.peak_memory_bytes or 0 for step in log.steps]
    assert memory == sorted(memory)
    assert 2**20 < memory[0] <= log.peak_memory_bytes
