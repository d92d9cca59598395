"""What the page on the training rows says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evalsuite.data_page.drift import Drift
from evalsuite.data_page.languages import Languages
from evalsuite.data_page.topics import Topics


@dataclass(frozen=True)
class Example:
    """One row that a step dropped or changed."""

    source: str
    """``file:line``."""
    detail: str
    other: str
    """Source of the row that explains it; empty where there is none."""
    text: str | None
    """As it was read; None where it may not be shown."""
    other_text: str | None = None


@dataclass(frozen=True)
class ReasonFact:
    """Rows that one step dropped or changed for one reason."""

    step: str
    did: str
    """``dropped`` or ``changed``."""
    reason: str
    count: int
    details: tuple[tuple[str, int], ...]
    """The commonest details -> rows; empty where every row has its own."""
    kinds: tuple[tuple[str, int], ...]
    """Kinds of things that the details count, such as EMAIL_ADDRESS -> how many in all rows."""
    examples: tuple[Example, ...]
    private: bool
    """Whether texts are withheld, since the step handles personal data."""


@dataclass(frozen=True)
class StepFact:
    """What is left after one step."""

    name: str
    rows: int
    dropped: int
    changed: int
    tokens: float
    """Tokens of the rows that are left; estimated from their characters for rows that a later step dropped."""
    percent: float
    """Of the rows that were read (0..100)."""
    percent_lost: float


@dataclass(frozen=True)
class SourceFact:
    """One file of rows."""

    name: str
    sha256: str
    read: int
    bad: int
    train: int
    dev: int
    tokens: int
    """Of the rows of train and dev."""

    @property
    def left_out(self) -> int:
        """Good rows that are on neither side."""
        return self.read - self.bad - self.train - self.dev


@dataclass(frozen=True)
class SideFact:
    """Rows of train or dev."""

    rows: int
    sequences: int
    tokens: int
    groups: int
    median: float
    """Tokens of a sequence."""
    p95: float
    longest: int
    histogram: Mapping[str, int]
    """Upper end of a bin in tokens, ``more`` for the last -> sequences."""


@dataclass(frozen=True)
class ReplayFact:
    """General rows against forgetting."""

    path: str
    rows: int
    """Of train and dev."""
    percent: float
    """Of the rows of train and dev (0..100)."""
    percent_set: float


@dataclass(frozen=True)
class SyntheticFact:
    """Rows of train and dev that one model wrote in one way."""

    kind: str
    model: str
    rows: int
    percent: float
    """Of the rows of train and dev (0..100)."""


@dataclass(frozen=True)
class DataFacts:
    """Everything on the page; the same rows and settings give the same."""

    objective: str
    rows_read: int
    bad_rows: int
    first_bad: tuple[str, ...]
    formats: Mapping[str, int]
    steps: tuple[StepFact, ...]
    reasons: tuple[ReasonFact, ...]
    sources: tuple[SourceFact, ...]
    datasets: tuple[str, ...]
    """Hub ids that the sources come from."""
    sides: Mapping[str, SideFact]
    edges: tuple[str, ...]
    """All bins of the histograms, in order."""
    answers: Mapping[str, int]
    """``learnt`` and ``context``; empty for documents."""
    languages: Languages
    topics: Topics
    drift: Drift | None
    drift_note: str
    """Why nothing is compared; empty where it is."""
    texts_withheld: bool
    """Whether a step looks for personal data, so that no text of a row is shown."""
    forgotten: int = 0
    """Rows left out since somebody asked for it."""
    counted: Mapping[str, tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]] = field(default_factory=dict)
    """Step -> what it counted -> columns and their values."""
    replay: ReplayFact | None = None
    synthetic: tuple[SyntheticFact, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """What of params.yaml says how the rows were chosen."""

    @property
    def kept(self) -> int:
        """Rows of both sides."""
        return sum(side.rows for side in self.sides.values())

    @property
    def tokens(self) -> int:
        """Tokens of both sides."""
        return sum(side.tokens for side in self.sides.values())
