"""The step that finds personal data in rows and does with each kind what its settings say."""

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from evalsuite.core.errors import UsageError
from evalsuite.core.extensions import did_you_mean
from evalsuite.network.outside import Outside, Package
from tasks.data.formats import Row
from tasks.data.synthetic import KEY as SYNTHETIC
from tasks.prepare.personal.entities import ENTITIES, MODEL_ENTITIES, Treatment
from tasks.prepare.personal.finding import OWN_MODEL, Wanted, check_model
from tasks.prepare.personal.kept import found_or_kept
from tasks.prepare.personal.names import holds_personal_data
from tasks.prepare.personal.people import named_again
from tasks.prepare.personal.reading import Found, settled
from tasks.prepare.personal.rows import names_of, texts_of, texts_of_tools, with_texts, without_originals
from tasks.prepare.personal.surrogates import MAKERS, Surrogates, read_key
from tasks.prepare.steps import Note, Outcome, Step, StepInputs

logger = logging.getLogger(__name__)

MANY_TEXTS, MOST_PROCESSES = 5000, 8
"""From so many texts on, starting another process costs less than it saves."""
GUESSED = frozenset(MODEL_ENTITIES)
MANY_PEOPLE = 0.05
"""Share of rows that lose a name, beyond which other words may have been taken for names."""
IN_A_NAME = "holds personal data in the name of a function or parameter, or in a key"
"""Why a row is dropped whatever the treatment: another name would break the link of definition, call and result."""


class Scope(StrEnum):
    """Where the same value gets the same stand-in."""

    CONVERSATION = "conversation"
    """Within a row; another row has another, so that rows cannot be linked."""
    DATASET = "dataset"
    """In all rows: who is mentioned in several stays one person, and rows can be linked."""


class PersonalData(Step):
    """Redacts, pseudonymises, drops or reports personal data, by its kind (``docs/howto/personal_data.md``).

    Notes and the report have kinds and counts, and never a text of a row.
    """

    changes_rows: ClassVar[bool] = True
    private: ClassVar[bool] = True

    entities: dict[str, Treatment] = Field(default_factory=dict)
    """What is done with each kind; those that are not named keep their default."""
    score_threshold: float = Field(default=0.4, ge=0.0, le=1.0)
    """Findings that are less sure stay (0..1): right check digits are 1.0, a model's guess 0.85, the form
    alone 0.4 to 0.6."""
    language: str = "en"
    """Language of the rows (ISO 639-1), which the model must be made for."""
    model: str = OWN_MODEL
    """Python package of the spaCy model that guesses names; nothing is downloaded."""
    roles: tuple[Literal["system", "user", "assistant", "tool"], ...] = ("system", "user", "assistant", "tool")
    """Whose turns are looked at; documents and definitions of tools always are."""
    fields: tuple[str, ...] | None = None
    """Which of the objective's own fields are looked at; all when absent."""
    key_file: str | None = None
    """File in the project with the key of pseudonyms, at least 32 random characters."""
    scope: Scope = Scope.CONVERSATION
    processes: int | None = Field(default=None, ge=1)
    """Processes that look through the rows; the machine's cores, at most 8, when absent. The result is the same."""

    @field_validator("entities", mode="before")
    @classmethod
    def _known(cls, named: object) -> object:
        for name in named if isinstance(named, dict) else ():
            if name not in ENTITIES:
                hint = did_you_mean(str(name).upper(), ENTITIES, cutoff=0.5)
                raise ValueError(f"no kind of personal data {name!r}; {hint}Known here: {', '.join(ENTITIES)}")
        return named

    @model_validator(mode="after")
    def _can_be_done(self) -> "PersonalData":
        treatments = self.treatments()
        if treatments.keys() & MODEL_ENTITIES.keys() or self.model != OWN_MODEL:
            check_model(self.model)
        stand_ins = [name for name, treatment in treatments.items() if treatment is Treatment.PSEUDONYMISE]
        without = [name for name in stand_ins if name not in MAKERS]
        if without:
            raise ValueError(
                f"{', '.join(without)} cannot be pseudonymised, since nothing of that shape would be nobody's; redact "
                f"or drop it. Pseudonymised can be: {', '.join(MAKERS)}"
            )
        if stand_ins and self.key_file is None:
            raise ValueError(
                f"{', '.join(stand_ins)} is to be pseudonymised, and key_file is absent: without a key anyone could "
                "find out whom a stand-in means; make one, `openssl rand -hex 32 > pseudonyms.key`, keep it out of "
                "git, and set key_file: pseudonyms.key"
            )
        return self

    def treatments(self) -> dict[str, Treatment]:
        """What is done with each kind that is looked for."""
        chosen = {name: self.entities.get(name, entity.treatment) for name, entity in ENTITIES.items()}
        return {name: treatment for name, treatment in chosen.items() if treatment is not Treatment.IGNORE}

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Look through every text once, and treat what was found.

        Raises:
            UsageError: The model is of another language, or the key is absent or short.
            StageError: A recogniser failed.
        """
        treatments, fields = self.treatments(), self._fields(given)
        key = read_key(given.paths.root / self.key_file) if self.key_file else b""
        of_all = Surrogates(key, "")
        different = dict.fromkeys(text for row in rows for text in texts_of(row, self.roles, fields))
        found = self._found(list(different), given)
        by_program = (text for row in rows for text in (*names_of(row, self.roles, fields), *texts_of_tools(row)))
        sure = self._without_guesses(list(dict.fromkeys(by_program)), given)
        kept, dropped, changed, total, rows_with = [], [], [], Counter[str](), Counter[str]()
        lost_a_name = 0
        for row in rows:
            texts = texts_of(row, self.roles, fields)
            in_row = self._in_row(texts, found)
            count = Counter(one.entity for text in texts for one in in_row.get(text, NOTHING).both)
            count.update(one.entity for text in texts_of_tools(row) for one in sure.get(text, NOTHING).both)
            names = names_of(row, self.roles, fields)
            named = Counter(one.entity for name in names for one in sure.get(name, NOTHING).treated)
            total.update(count + named)
            rows_with.update((count + named).keys())
            bad = {name: number for name, number in count.items() if treatments[name] is Treatment.DROP}
            if bad:
                dropped.append(Note(row.source, "holds personal data", _counted(bad)))
                continue
            if named:
                dropped.append(Note(row.source, IN_A_NAME, _counted(named)))
                continue
            own = Surrogates(key, row.row_id) if self.scope is Scope.CONVERSATION else of_all
            changes = (partial(self._treated, holds, own) for holds in (in_row, sure))
            new = with_texts(row, self.roles, fields, *changes) if count else row
            hidden = {name: number for name, number in count.items() if treatments[name].hides}
            lost_a_name += "PERSON" in hidden
            if row.row_id != row.source and holds_personal_data(row.row_id):
                new, hidden = new._replace(row_id=row.source), hidden | {"its id": 1}
            if new != row:
                new = without_originals(
                    new, (*given.objective.fields, given.params.group_by, *given.params.split.keys, SYNTHETIC)
                )
                changed.append(Note(row.source, "personal data replaced", _counted(hidden)))
            kept.append(new)
        counts = {
            name: {"treatment": str(treatments[name]), "found": total[name], "rows": rows_with[name]}
            for name in sorted(total)
        }
        if lost_a_name > MANY_PEOPLE * len(rows):
            logger.warning(
                "personal_data: PERSON was replaced in %d of %d rows (%.1f%%), and other words may have been taken for "
                "names; look at some of the rows that report.json lists under first_changed, and where they name "
                "nobody set `entities: {PERSON: report}` under personal_data, which counts names and leaves them",
                *(lost_a_name, len(rows), 100.0 * lost_a_name / len(rows)),
            )
        return Outcome(kept, dropped, changed, counts)

    def outside(self) -> tuple[Outside, ...]:
        """The recognisers, and the model that guesses names."""
        return Package("presidio-analyzer"), Package("phonenumbers"), Package(self.model)

    def _fields(self, given: StepInputs) -> tuple[str, ...]:
        """The objective's own fields that are looked at.

        Raises:
            UsageError: The objective has no such field.
        """
        known = given.objective.fields
        other = [name for name in self.fields or () if name not in known]
        if other:
            raise UsageError(
                f"personal_data.fields: objective {given.objective.name} has no field {other[0]!r}; it has "
                f"{', '.join(known) or 'none beside the texts of turns, which are always looked at'}; correct the "
                "list, or remove it to look at all"
            )
        return known if self.fields is None else self.fields

    def _found(self, texts: list[str], given: StepInputs) -> dict[str, "InText"]:
        """What the texts hold; a text that holds nothing is not in it."""
        treatments = self.treatments()
        wanted = Wanted(frozenset(treatments), self.language, self.model, self.score_threshold)
        processes = self.processes or (min(os.cpu_count() or 1, MOST_PROCESSES) if len(texts) >= MANY_TEXTS else 1)
        looked_through = found_or_kept(texts, wanted, processes, given.paths.personal_findings)
        reported = {name for name, treatment in treatments.items() if treatment is Treatment.REPORT}
        return {
            text: InText(
                settled([one for one in found if one.entity not in reported], text, GUESSED),
                settled([one for one in found if one.entity in reported], text, GUESSED),
            )
            for text, found in zip(texts, looked_through, strict=True)
            if found
        }

    def _without_guesses(self, texts: list[str], given: StepInputs) -> dict[str, "InText"]:
        """What texts for programs hold: of names, and of orders such as ``Convert dates``, the model guesses wrong."""
        return {
            text: InText(*([one for one in kind if one.entity not in GUESSED] for kind in found))
            for text, found in self._found(texts, given).items()
        }

    @staticmethod
    def _in_row(texts: list[str], found: dict[str, "InText"]) -> dict[str, "InText"]:
        """What the texts of one row hold, with the people who are named again."""
        in_row = {text: found[text] for text in texts if text in found}
        for kind in ("treated", "reported") if in_row else ():
            places = {text: getattr(in_row.get(text, NOTHING), kind) for text in texts}
            for text, more in named_again(places).items():
                both = sorted([*places[text], *more], key=lambda one: one.start)
                in_row[text] = in_row.get(text, NOTHING)._replace(**{kind: both})
        return in_row

    def _treated(self, found: dict[str, "InText"], own: Surrogates, text: str) -> str:
        """A text with something else in the places of what is to be hidden."""
        treatments, parts, at = self.treatments(), [], 0
        for one in found[text].treated if text in found else ():
            redacted = treatments[one.entity] is Treatment.REDACT
            stand_in = f"<{one.entity}>" if redacted else own.of(one.entity, text[one.start : one.end])
            parts += [text[at : one.start], stand_in]
            at = one.end
        return "".join([*parts, text[at:]])


class InText(NamedTuple):
    """What one text holds."""

    treated: list[Found]
    """In order, with no overlap."""
    reported: list[Found]

    @property
    def both(self) -> list[Found]:
        """All."""
        return [*self.treated, *self.reported]


NOTHING = InText([], [])


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))
