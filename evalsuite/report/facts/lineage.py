"""Settings of this run that differ from those of the champion's."""

import json
from collections.abc import Mapping
from typing import Any

from evalsuite.report.data import ReportData
from evalsuite.report.facts.measured import Fact
from evalsuite.report.facts.prepared import NOT_RECORDED


class ParamChange(Fact):
    """One setting; a side that is None does not have it."""

    key: str
    """Dotted path in params.yaml."""
    before: str | None
    """As JSON."""
    after: str | None


class ParamsFact(Fact):
    """Settings as a difference to the champion's run."""

    changes: tuple[ParamChange, ...] | None
    """None where they cannot be compared."""
    note: str
    """Why they cannot; empty where they can."""


def params_of(data: ReportData) -> ParamsFact:
    """Compare what decided this run with what decided the champion's."""
    if "champion" not in data.decision.baselines:
        return ParamsFact(changes=None, note="There is no champion to compare the settings with.")
    if data.champion_inputs is None:
        return ParamsFact(changes=None, note=f"The champion's settings: {NOT_RECORDED}.")
    if data.run_inputs is None:
        note = "This run's settings were not recorded beside its decision; `ratchet run` records them."
        return ParamsFact(changes=None, note=note)
    return ParamsFact(changes=param_changes(data.champion_inputs.params, data.run_inputs.params), note="")


def param_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[ParamChange, ...]:
    """Leaves that differ, by dotted path; a list is a leaf."""
    old, new = _leaves(before), _leaves(after)
    return tuple(
        ParamChange(key=key, before=old.get(key), after=new.get(key))
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    )


def _leaves(value: Any, place: str = "") -> dict[str, str]:
    if isinstance(value, Mapping) and (value or not place):
        found: dict[str, str] = {}
        for key, inner in value.items():
            found |= _leaves(inner, f"{place}.{key}".removeprefix("."))
        return found
    return {place: json.dumps(value, ensure_ascii=False, sort_keys=True)}
