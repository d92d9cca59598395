"""The steps that ``prepare.steps`` names, found, made with their settings, and in an order that leaks nothing."""

import difflib
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from pydantic import ValidationError

from evalsuite.core.errors import UsageError
from evalsuite.core.wrong_values import explain
from evalsuite.network.network_errors import said_by
from tasks.config.prepare import PrepareParams, StepChoice
from tasks.prepare.standard import STEPS
from tasks.prepare.steps import Step

GROUP = "ratchet.prepare_steps"
"""Entry points of other packages' steps; the names of Ratchet's own stay its own."""
CHECKS = {
    "held_out": "rows that repeat a golden or test item would be trained on, and the gate would prove nothing",
    "length": "a row might be longer than prepare.max_length_tokens, or teach nothing",
}
"""Steps that nobody may leave out or change rows after -> what would happen."""


class ChosenStep(NamedTuple):
    """A step and where it comes from."""

    name: str
    step: Step
    entry_point: str | None
    """``module:Class`` of another package; None for Ratchet's own."""

    def __str__(self) -> str:
        """How messages name it."""
        return f"step {self.name!r}" + (f" ({self.entry_point})" if self.entry_point else "")


def chosen_steps(params: PrepareParams) -> list[ChosenStep]:
    """The steps in their order.

    Raises:
        UsageError: There is no such step, it cannot be made or is named twice, a check is left out, rows would change
            after it, or ``prepare.max_rows`` is set without its step.
    """
    steps = [_made(choice) for choice in params.steps]
    _check_order(steps)
    if params.max_rows is not None and all(step.name != "max_rows" for step in steps):
        raise UsageError(
            f"prepare.max_rows = {params.max_rows} has no effect: prepare.steps leaves max_rows out; add max_rows to "
            "prepare.steps, or take prepare.max_rows out"
        )
    return steps


def _made(choice: StepChoice) -> ChosenStep:
    """Find a step's class and validate its settings.

    What another package's code raises is not ours to foresee; it becomes one line that names the entry point.
    """
    if choice.name in STEPS:
        return ChosenStep(choice.name, _validated(STEPS[choice.name], choice), None)
    entry = entry_point(choice.name)
    try:
        kind = entry.load()
        if not (isinstance(kind, type) and issubclass(kind, Step)):
            raise TypeError("it is no subclass of tasks.prepare.steps.Step")
        return ChosenStep(choice.name, _validated(kind, choice), entry.value)
    except UsageError:
        raise
    except Exception as error:
        where = f"prepare.steps: step {choice.name!r} ({entry.value})"
        raise UsageError(f"{where} could not be made: {said_by(error)}") from error


def entry_point(name: str) -> EntryPoint:
    """Where another package registered a step; nothing of it is loaded.

    Raises:
        UsageError: No step is called so; names the nearest.
    """
    found: dict[str, EntryPoint] = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        known = [*STEPS, *sorted(found)]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(
            f"prepare.steps: no step {name!r}; {hint}Known here: {', '.join(known)}; other packages add steps by an "
            f"entry point in the group {GROUP!r}"
        )
    return found[name]


def _validated(kind: type[Step], choice: StepChoice) -> Step:
    try:
        return kind.model_validate(choice.settings)
    except ValidationError as error:
        raise UsageError(explain(error, kind, f"prepare.steps.{choice.name}.")) from None


def _check_order(steps: Sequence[ChosenStep]) -> None:
    names = [each.name for each in steps]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"prepare.steps names {twice} twice; take one of them out")
    for check, otherwise in CHECKS.items():
        if check not in names:
            raise UsageError(f"prepare.steps leaves {check} out: {otherwise}; add {check} to prepare.steps")
        late = next((each for each in steps[names.index(check) :] if each.step.changes_rows), None)
        if late is not None:
            raise UsageError(
                f"prepare.steps: {late} changes rows and stands after {check}: {otherwise}; put {late.name} before "
                f"{check}"
            )
