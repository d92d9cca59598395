"""Epoch records for tests."""

from tasks.training.state.log import EpochRecord


def epoch(number: int, golden: float, train: float = 1.0, evaluation: float = 1.0) -> EpochRecord:
    return EpochRecord(
        epoch=number,
        step=number * 10,
        checkpoint=f"checkpoint-{number * 10}",
        train_loss=train,
        eval_loss=evaluation,
        golden={"exact": golden},
        golden_n={"exact": 60},
        golden_stderr={"exact": 0.05},
        seconds=1.0,
    )
