"""The steps that ``prepare.steps`` names, found, made with their settings, and in an order that leaks nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError

from evalsuite.core.errors import UsageError
from evalsuite.core.extensions import Extensions, blaming
from evalsuite.core.wrong_values import explain
from tasks.config.prepare import PrepareParams, StepChoice
from tasks.data.formats import Row
from tasks.prepare.mixing import NAME as MIX
from tasks.prepare.mixing import Mix
from tasks.prepare.standard import STEPS
from tasks.prepare.steps import Step, StepInputs

OTHERS = Extensions("ratchet.prepare_steps", "step", tuple(STEPS))
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
        """Its name in messages."""
        return f"step {self.name!r}" + (f" ({self.entry_point})" if self.entry_point else "")


def chosen_steps(params: PrepareParams) -> list[ChosenStep]:
    """The steps in their order.

    Raises:
        UsageError: There is no such step, it cannot be made or is named twice, a check is left out, rows would change
            after it, rows would leave this machine without leave, or ``prepare.max_rows`` is set without its step.
    """
    steps = [_made(choice) for choice in params.steps]
    _check_order(steps)
    if params.draws and all(step.name != "max_rows" for step in steps):
        what = "max_rows of a source" if params.max_rows is None else f"prepare.max_rows = {params.max_rows}"
        raise UsageError(
            f"{what} has no effect: prepare.steps leaves max_rows out; add max_rows to prepare.steps, or take "
            f"{'it' if params.max_rows is None else 'prepare.max_rows'} out"
        )
    return steps


def is_private(steps: Sequence[ChosenStep]) -> bool:
    """Whether rows may hold personal data, so that nothing of them is written elsewhere."""
    return any(each.step.private for each in steps)


def mixing(rows: Sequence[Row], given: StepInputs) -> list[ChosenStep]:
    """The step behind all others, where there is something to mix: replay, or rows that a model wrote."""
    if given.params.replay is None and all(head.written is None for head in given.heads(rows)):
        return []
    return [ChosenStep(MIX, Mix(), None)]


def _made(choice: StepChoice) -> ChosenStep:
    """Find a step's class and validate its settings."""
    if choice.name in STEPS:
        return ChosenStep(choice.name, _validated(STEPS[choice.name], choice), None)
    entry = OTHERS.find(choice.name)
    with blaming(f"prepare.steps: step {choice.name!r} ({entry.value}) could not be made"):
        kind = entry.load()
        if not (isinstance(kind, type) and issubclass(kind, Step)):
            raise TypeError("it is not a subclass of tasks.prepare.steps.Step")
        return ChosenStep(choice.name, _validated(kind, choice), entry.value)


def _validated(kind: type[Step], choice: StepChoice) -> Step:
    try:
        return kind.model_validate(choice.settings)
    except ValidationError as error:
        of_all = f"prepare.steps.{choice.name}"
        raise UsageError(explain(error, kind, f"{of_all}.").replace(f"{of_all}.: ", f"{of_all}: ")) from None


def _check_order(steps: Sequence[ChosenStep]) -> None:
    names = [each.name for each in steps]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"prepare.steps names {twice} twice; remove one of them")
    for check, otherwise in CHECKS.items():
        if check not in names:
            raise UsageError(f"prepare.steps leaves {check} out: {otherwise}; add {check} to prepare.steps")
        late = next((each for each in steps[names.index(check) :] if each.step.changes_rows), None)
        if late is not None:
            raise UsageError(
                f"prepare.steps: {late} changes rows and stands after {check}: {otherwise}; put {late.name} before "
                f"{check}"
            )
    for at, each in enumerate(steps):
        with blaming(f"prepare.steps: {each} could not say where it sends rows"):
            where = each.step.sends_rows_to()
        if where and not any(before.step.private for before in steps[:at]):
            raise UsageError(
                f"prepare.steps: {each} sends the texts of rows to {where}, which is not on this machine; put "
                f"personal_data before {each.name}, name a server on this machine, or say send_rows: true where its "
                "server is named"
            )
