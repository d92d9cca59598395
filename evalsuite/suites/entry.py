"""What a suite's module says of its suite: how params.yaml turns it on, what it reads, and how it is made."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from evalsuite.core.errors import UsageError
from evalsuite.core.settings import Settings
from evalsuite.core.wrong_values import explain
from evalsuite.network.outside import Outside
from evalsuite.suites.base import Suite
from evalsuite.suites.golden_set.settings import GoldenParams

P = TypeVar("P", bound=Settings)


class SuiteContext(NamedTuple):
    """What a suite is made with beside its own settings."""

    name: str
    """The suite's; of a section that makes several, one of ``SuiteEntry.names``."""
    golden: GoldenParams
    """The golden set, whose BERTScore model other suites may score with."""
    limit: int | None = None
    """Most items that the command line asks for; all when None."""
    kept: Path | None = None
    """Folder where embeddings of references stay for the next process; they are not kept when None."""
    root: Path = Path()
    """Where ``SuiteEntry.outside`` reads; suites themselves read from the working folder."""

    def least(self, own: int | None) -> int | None:
        """The smaller of the command line's limit and a suite's own; None where neither is set."""
        return min((limit for limit in (own, self.limit) if limit is not None), default=None)


@dataclass(frozen=True)
class SuiteEntry(Generic[P]):
    """A suite before it is made. What it knows of its items, its size and its metrics, the made suite says itself."""

    name: str
    """Key of its section under ``evaluation``; of another package's suite, the name of its entry point."""
    params: type[P]
    """What the section may hold."""
    make: Callable[[P, SuiteContext], Suite]
    """Reads the suite's files; loads no model."""
    files: tuple[str, ...] = ()
    """Settings that name a file or folder, dotted where they are nested; a change there evaluates every model again."""
    takes_limit: bool = False
    """``make`` heeds ``SuiteContext.limit``; else ``--limit`` is refused."""
    names: Callable[[P], Collection[str]] | None = None
    """The suites that a section of this package makes, where they are not one of the entry's own name."""
    outside: Callable[[P, SuiteContext], Iterable[Outside]] = lambda params, context: ()
    """What it reads that is no part of the project: models, datasets, servers, packages that score."""
    read_with: str = ""
    """SUITE/METRIC, better lower, without which this suite says nothing: rules on one without the other are refused."""
    default: P | None = None
    """Its settings where params.yaml has no such section; the suite is off when None."""

    def __post_init__(self) -> None:
        """Refuse files that no setting names: their changes would pass unseen."""
        for name in self.files:
            if name.partition(".")[0] not in self.params.model_fields:
                known = ", ".join(self.params.model_fields)
                raise ValueError(f"files of suite {self.name!r} has {name!r}, which is no setting; settings: {known}")

    def suites(self, params: P) -> Collection[str]:
        """Names of the suites that the settings make."""
        return (self.name,) if self.names is None else self.names(params)

    def files_of(self, params: P) -> dict[str, str]:
        """Setting -> the file or folder that it names, where it names one."""
        found = {name: attrgetter(name)(params) for name in self.files}
        return {name: str(path) for name, path in found.items() if path is not None}

    def checked(self, values: Mapping[str, Any], where: str) -> P:
        """The settings that a mapping holds.

        Args:
            values: As params.yaml has them.
            where: Dotted path of the mapping there.

        Raises:
            UsageError: A wrong key (with the nearest right one) or a wrong value (with its dotted path).
        """
        try:
            return self.params.model_validate(values)
        except ValidationError as error:
            raise UsageError(f"params.yaml: {explain(error, self.params, f'{where}.')}") from None
