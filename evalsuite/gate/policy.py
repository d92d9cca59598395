"""The promotion policy, and the rules it may hold: our own kinds and those that other packages register."""

import difflib
import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from evalsuite.core.errors import RatchetError, UsageError
from evalsuite.core.files import sha256_json
from evalsuite.core.settings import Settings
from evalsuite.gate.rules import KINDS, LEAST_ALPHA, ROLES, Rule

GROUP = "ratchet.rules"
"""Entry points of other packages' kinds: the kind's name -> a subclass of ``Rule``."""


@lru_cache(maxsize=64)
def rule_class(kind: str) -> type[Rule]:
    """The class of a kind.

    Raises:
        ValueError: There is no such kind; names the nearest.
        UsageError: Another package's does not load, or is no rule.
    """
    if kind in KINDS:
        return KINDS[kind]
    registered = _registered()
    if kind not in registered:
        known = [*KINDS, *sorted(registered)]
        near = difflib.get_close_matches(kind, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"there is no kind of rule {kind!r}; {hint}Kinds: {', '.join(known)}")
    with named(kind):
        found = registered[kind].load()
        if not (isinstance(found, type) and issubclass(found, Rule)):
            raise TypeError(f"it is no subclass of {Rule.__module__}.Rule")
        if found.model_fields["kind"].default != kind:
            raise TypeError(f"its kind is {found.model_fields['kind'].default!r} by default, expected {kind!r}")
        _ = found.takes, found.words
    return found


def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


@contextmanager
def named(kind: str, *passed: type[Exception]) -> Iterator[None]:
    """Make what the code of another package's kind raises one line that names its entry point, but for ``passed``."""
    try:
        yield
    except Exception as error:
        if kind in KINDS or isinstance(error, (RatchetError, *passed)):
            raise
        entry = _registered().get(kind)
        where = f"{GROUP}: {kind} = {entry.value}" if entry else GROUP
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"kind {kind!r} of gate.rules ({where}) failed: {told}") from error


def foreign_code(rules: Iterable[Rule]) -> dict[str, str]:
    """Kinds of other packages among the rules -> hash of the source files of their classes.

    Raises:
        UsageError: A class has no source file.
    """
    found = {}
    for rule in rules:
        if rule.kind not in KINDS:
            with named(rule.kind):
                classes = [each for each in type(rule).__mro__ if issubclass(each, Rule)]
                files = [inspect.getfile(each) for each in classes if each.__module__ != Rule.__module__]
                found[rule.kind] = sha256_json([Path(file).read_text("utf-8") for file in files])
    return found


def _of_its_kind(value: Any) -> Any:
    if isinstance(value, Mapping) and "kind" in value:
        kind = str(value["kind"])
        with named(kind, ValueError):  # a ValidationError is one
            return rule_class(kind).model_validate(value)
    return value


AnyRule = Annotated[SerializeAsAny[Rule], BeforeValidator(_of_its_kind)]
"""A rule as a policy holds it: a mapping becomes the class that its ``kind`` names."""


class GatePolicy(Settings):
    """Everything that turns item results into a verdict."""

    rules: tuple[AnyRule, ...] = Field(min_length=1)
    alpha: float = Field(default=0.05, ge=LEAST_ALPHA, lt=0.5)
    """One-sided error of each rule, divided by the number of candidates compared."""
    targets: Literal["all", "any"] = "all"
    """Whether every target must be met, or one (Holm-corrected)."""
    max_unscored_fraction: float = Field(default=0.01, ge=0.0, lt=1.0)
    """A larger share of unscored items makes a rule undecided (fraction 0..1)."""
    max_verdicts_per_set: int = Field(default=20, ge=1)
    """Past this many models judged on one set of test items, the decision warns of what selection adds."""
    noise: dict[str, float] = Field(default_factory=dict)
    """SUITE/METRIC -> the noise floor that ``ratchet gate noise`` measured; a margin below it is a warning."""

    @model_validator(mode="after")
    def _slices_are_judged(self) -> Self:
        for rule in self.rules:
            if self.pools(rule) and rule.slices is not None:
                raise ValueError(
                    f"targets any judges no slices, and the target {rule.suite}/{rule.metric} has slices "
                    f"{rule.slices!r}; take slices out of it, or set targets to all"
                )
        return self

    @model_validator(mode="after")
    def _floors_are_named(self) -> Self:
        for name, floor in self.noise.items():
            if "/" not in name or not floor >= 0.0:
                raise ValueError(f"noise of {name!r} is {floor}, expected SUITE/METRIC and a floor of 0 or more")
        return self

    def pools(self, rule: Rule) -> bool:
        """Whether the rule is one of those of which any is enough."""
        return rule.asks_gain and self.targets == "any"

    def alpha_of(self, rule: Rule, num_candidates: int) -> float:
        """One-sided error of a rule, before Holm's correction."""
        return (rule.alpha or self.alpha) / num_candidates

    def first_alpha(self, rule: Rule, num_candidates: int, there: Collection[str] = ROLES) -> float:
        """One-sided error that a rule is first judged at: Holm's first step, where any of several is enough.

        Args:
            rule: One of the policy.
            num_candidates: Candidates that are compared.
            there: Baselines that there are; what has none of its own is not judged.
        """
        pooled = sum(bool(each.baselines(there)) for each in self.rules if self.pools(each))
        return self.alpha_of(rule, num_candidates) / (pooled or 1 if self.pools(rule) else 1)
