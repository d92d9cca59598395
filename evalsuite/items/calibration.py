"""A judge that scores in place of people, and the items that show how often it agrees with them."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Calibration(BaseModel):
    """Items that people labelled and the judge scored too, drawn like those that it scores here."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    judge: tuple[float, ...]
    """The judge's score of each item, on the metric's scale."""
    human: tuple[float, ...]
    """The label of the same item, on the same scale; the majority or mean of several people."""
    source: str = ""
    """Where the labels come from."""

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        if len(self.judge) != len(self.human):
            raise ValueError(f"{len(self.judge)} judge scores and {len(self.human)} human labels")
        return self

    @property
    def agreement(self) -> float:
        """Share of items on which judge and people agree exactly; 0 where there is none."""
        same = sum(one == other for one, other in zip(self.judge, self.human, strict=True))
        return same / len(self.judge) if self.judge else 0.0


class Judge(BaseModel):
    """A model or classifier that scores a metric in place of people."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    version: str
    """Revision or hash of the judge and its prompt."""
    calibration: Calibration | None = None

    @property
    def description(self) -> str:
        """A few words for a reason's text."""
        if self.calibration is None:
            return f"scored by judge {self.name}, which was not calibrated against people"
        known = self.calibration
        return f"scored by judge {self.name}, which agrees with people on {known.agreement:.3f} of {len(known.judge)}"
