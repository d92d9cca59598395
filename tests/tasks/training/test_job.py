"""What a stage hands to the trainer."""

from pathlib import Path

from tasks.config.numerics import Numerics
from tasks.config.training import TrainingSections
from tasks.paths import ArtifactPaths
from tasks.training.job import Job
from tasks.training.parallel.launch import LaunchPlan

SECTIONS = {
    "methods": {"lora": {"kind": "lora", "learning_rate": [1e-4, 3e-4], "seed": 7}},
    "train": {"seed": 1},
    "evaluation": {"golden": {"path": "golden"}},
}


def test_a_job_at_one_of_several_rates_trains_at_it_in_a_folder_of_its_own(tmp_path: Path) -> None:
    plan = LaunchPlan(device="cpu", numerics=Numerics.FP32, trained_parameters=1)
    job = Job("lora", TrainingSections.model_validate(SECTIONS).seeded("lora"), plan, ArtifactPaths(tmp_path))
    one = job.at(3e-4)
    assert job.method.params.rates == (1e-4, 3e-4)
    assert one.method.params.rates == (3e-4,)
    assert (job.root, one.root) == (tmp_path / "checkpoints/lora", tmp_path / "checkpoints/lora/rate-0.0003")
    assert one.params.seed == 7
