"""What every part of params.yaml is."""

from pydantic import ConfigDict

from evalsuite.core.settings import Settings


class Section(Settings):
    """A part of params.yaml."""


class StageSections(Section):
    """The sections that one stage reads, as ``params`` of dvc.yaml names them; the others are none of its business.

    A stage's code then depends on the code of these sections alone, and a new setting of the gate trains nothing.
    """

    model_config = ConfigDict(extra="ignore")
