"""The machine that a plan counts with."""

from pydantic import Field

from tasks.config.section import Section


class HardwareParams(Section):
    """What the plan counts with."""

    price_per_hour: float | None = Field(default=None, ge=0.0)
    """Price of the whole machine for an hour, in ``currency``; costs are unknown when absent."""
    currency: str = "USD"
    """Of all prices and costs."""
    memory_gib: float | None = Field(default=None, gt=0.0)
    """Memory of one device in GiB; measured when absent."""
    tokens_per_second: float | None = Field(default=None, gt=0.0)
    """Measured training speed in non-padding tokens a second; estimated when absent."""
