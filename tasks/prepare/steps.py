"""What a step of preparation is: all rows in; what it kept, dropped and changed out, with a reason for each."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, TypeVar

from evalsuite.core.settings import Settings
from evalsuite.network.outside import Outside
from tasks.config.prepare import PrepareParams
from tasks.data.formats import Row, RowRules
from tasks.objectives.find import find_objective
from tasks.objectives.objective import Objective
from tasks.paths import ArtifactPaths
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.rows import row_rules
from tasks.prepare.scale.engine import Engine, InProcess, on_each
from tasks.prepare.scale.heads import Head, head_of
from tasks.prepare.scale.stored import Rows, only

Each = TypeVar("Each")


class Note(NamedTuple):
    """What a step did to one row, and why."""

    source: str
    """The row's ``source``."""
    reason: str
    """Why, in the same words for all such rows: the report counts rows by it."""
    detail: str = ""
    """What it was in this row."""
    other: str = ""
    """Source of another row that explains it, such as the one that was kept of several alike."""


@dataclass(frozen=True)
class Outcome:
    """Every row that a step was given: kept, as it was or changed, or dropped."""

    kept: Sequence[Row]
    """Rows that go on, those that were changed among them."""
    dropped: Sequence[Note] = ()
    changed: Sequence[Note] = ()
    """One for each row of ``kept`` that differs from the row that the step was given."""
    counts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What else it counted, by name, for the report; never a text of a row."""


@dataclass(frozen=True)
class StepInputs:
    """What a step may use beside the rows."""

    params: PrepareParams
    paths: ArtifactPaths
    lengths: TokenLengths
    engine: Engine = field(default_factory=InProcess)
    """Where work on many rows is done."""

    def each(self, work: Callable[[Sequence[Row]], Sequence[Each]], rows: Sequence[Row]) -> Iterator[Each]:
        """What ``work``, which can be pickled, makes of each row, in their order; it is given some rows at a time."""
        return on_each(self.engine, work, rows)

    def heads(self, rows: Sequence[Row]) -> Iterator[Head]:
        """What is known of each row without reading it, in their order."""
        return rows.heads() if isinstance(rows, Rows) else (head_of(row, self.objective) for row in rows)

    @cached_property
    def objective(self) -> Objective:
        """What the rows are for."""
        return find_objective(self.params.objective)

    @cached_property
    def rules(self) -> RowRules:
        """How rows are read."""
        return row_rules(self.params)


class Step(Settings):
    """One step; its fields are its settings in params.yaml.

    The same rows and settings must give the same outcome on every machine: whoever draws takes a seed.
    """

    changes_rows: ClassVar[bool] = False
    """Whether it may change what is learnt of a row; it then stands before the steps that check rows."""
    private: ClassVar[bool] = False
    """Whether rows may hold personal data before it: no report shows the text of a row that it did not leave alone, nor
    of one that was dropped before it. Its notes must hold none: kinds and counts, never what was found."""

    @abstractmethod
    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Decide what happens to each row."""

    def outside(self) -> tuple[Outside, ...]:
        """Models and packages that it decides by, whose change prepares the rows again."""
        return ()

    def sends_rows_to(self) -> str:
        """Where it sends rows off this machine, for which nobody has said yet that they may leave; empty: nowhere."""
        return ""


def without(rows: Sequence[Row], notes: Iterable[Note | None]) -> Outcome:
    """Drop each row whose note gives a reason; the others go on as they are."""
    kept, dropped = [], []
    for at, note in enumerate(notes):
        if note is None:
            kept.append(at)
        else:
            dropped.append(note)
    return Outcome(only(rows, kept), dropped)
