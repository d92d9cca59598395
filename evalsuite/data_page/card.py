"""The data card: what the rows are, under the headings of the EU's summary of training content.

Headings: European Commission, Explanatory Notice and Template for the Public Summary of Training Content for
general-purpose AI models required by Article 53(1)(d) of Regulation (EU) 2024/1689 (AI Act), published on 24 July 2025,
C(2025) 8311 final of 5 December 2025. What Ratchet cannot know is marked for the provider to fill in, never guessed.
"""

from collections.abc import Iterator
from typing import NamedTuple

from evalsuite.data_page.facts import DataFacts
from evalsuite.data_page.languages import OTHERS, SHORT, UNSURE
from evalsuite.report.markdown_text import escaped
from evalsuite.report.text import count

TEMPLATE = "C(2025) 8311 final"
MANY_TOKENS, MOST_TOKENS = 10**9, 10**13
TOLD_LANGUAGES = 8
TO_FILL_IN = "to be filled in by the provider"


class Field(NamedTuple):
    """One line of the card."""

    name: str
    value: str | None
    """None where only the provider can say it."""


class Heading(NamedTuple):
    """One heading of the template with its lines."""

    number: str
    title: str
    fields: tuple[Field, ...] = ()

    @property
    def level(self) -> int:
        """1 for ``1. General information``, 2 for what stands below it."""
        return 1 + self.number.rstrip(".").count(".")


def headings(facts: DataFacts) -> tuple[Heading, ...]:
    """The card, heading by heading."""
    return tuple(_headings(facts))


def _headings(facts: DataFacts) -> Iterator[Heading]:
    yield Heading("1.", "General information")
    yield Heading(
        "1.1", "Provider identification", (Field("Provider, contact", None), Field("Authorised representative", None))
    )
    yield Heading(
        "1.2",
        "Model identification",
        (
            Field("Versioned model name", None),
            Field("Model dependencies", "the base model of params.yaml, whose own summary covers its training"),
            Field("Date of placement on the Union market", None),
        ),
    )
    yield Heading(
        "1.3",
        "Modalities, overall training data size and other characteristics",
        (
            Field("Modality", "text"),
            Field("Training data size", _size(facts)),
            Field("Types of content", _content(facts)),
            Field("Latest date of data acquisition", None),
            Field("Linguistic characteristics", _languages(facts)),
            Field("Topics", _topics(facts)),
        ),
    )
    yield Heading("2.", "List of data sources")
    yield Heading(
        "2.1",
        "Publicly available datasets",
        (Field("Data sets named in prepare.datasets", ", ".join(facts.datasets) or "none is named there"),),
    )
    for number, title in (
        ("2.2", "Private non-publicly available datasets obtained from third parties"),
        ("2.3", "Data crawled and scraped from online sources"),
        ("2.4", "User data"),
    ):
        yield Heading(number, title, (Field("Used", None),))
    yield Heading("2.5", "Synthetic data", tuple(_synthetic(facts)))
    listed = "; ".join(f"{source.name} ({count(source.train)} rows trained on)" for source in facts.sources)
    yield Heading("2.6", "Other sources of data", (Field("Files; say under 2.1 to 2.5 what each is", listed),))
    yield Heading("3.", "Data processing aspects")
    yield Heading(
        "3.1",
        "Respect of reservation of rights from text and data mining exception or limitation",
        (Field("Measures", None),),
    )
    yield Heading("3.2", "Removal of illegal content", (Field("Measures", None),))
    yield Heading("3.3", "Other information", (Field("Processing", _processing(facts)),))


def _synthetic(facts: DataFacts) -> Iterator[Field]:
    """What rows that are marked say; whether others are synthetic only the provider knows."""
    if not facts.synthetic:
        yield Field("Used", None)
        return
    rows, percent = sum(each.rows for each in facts.synthetic), sum(each.percent for each in facts.synthetic)
    yield Field("Used", f"yes: {count(rows)} of {count(facts.kept)} rows ({percent:.1f}%) are marked as synthetic")
    yield Field("Modality", "text")
    listed = "; ".join(f"{each.model} ({each.kind}, {count(each.rows)} rows)" for each in facts.synthetic)
    yield Field("AI models that wrote them", listed)
    yield Field("Summaries of these models' training content", None)


def _size(facts: DataFacts) -> str:
    tokens = facts.sides["train"].tokens
    band = "less than 1 billion" if tokens < MANY_TOKENS else "1 billion to 10 trillion"
    band = "more than 10 trillion" if tokens > MOST_TOKENS else band
    return f"{count(tokens)} tokens in {count(facts.sides['train'].rows)} rows ({band})"


def _content(facts: DataFacts) -> str:
    kinds = ", ".join(f"{name} ({count(number)} rows read)" for name, number in facts.formats.items())
    learnt = facts.answers.get("learnt")
    return kinds + (f"; {count(learnt)} answers are learnt" if learnt is not None else "")


def _languages(facts: DataFacts) -> str:
    found = facts.languages
    if not found.num_sampled:
        return "not looked at"
    told = [(name, number) for name, number in found.counts if name not in (OTHERS, UNSURE, SHORT)][:TOLD_LANGUAGES]
    rest = found.num_sampled - sum(number for _, number in told)
    parts = [f"{name} {found.percent(number):.0f}%" for name, number in told]
    parts += [f"other, unsure or too short {found.percent(rest):.0f}%"] if rest else []
    return f"{', '.join(parts)} of a sample of {count(found.num_sampled)} rows"


def _topics(facts: DataFacts) -> str:
    if not facts.topics.topics:
        return "too few rows to tell"
    return "; ".join(", ".join(topic.words[:4]) for topic in facts.topics.topics)


def _processing(facts: DataFacts) -> str:
    parts = [f"{count(facts.rows_read)} rows read", f"{count(facts.bad_rows)} could not be read"]
    parts += [f"{step.name} dropped {count(step.dropped)} and changed {count(step.changed)}" for step in facts.steps]
    return "; ".join(parts)


def data_card(facts: DataFacts) -> str:
    """The card in Markdown; what rows or file names say stays text."""
    lines = [
        "# Data card",
        "",
        f"Training data of a fine-tuning, under the headings of the EU's template ({TEMPLATE}). It covers these rows "
        "alone; the base model's provider publishes its own summary.",
    ]
    for heading in headings(facts):
        lines += ["", f"{'#' * (heading.level + 1)} {heading.number} {heading.title}"]
        lines += [""] if heading.fields else []
        lines += [
            f"- {field.name}: {f'*{TO_FILL_IN}*' if field.value is None else escaped(field.value)}"
            for field in heading.fields
        ]
    return "\n".join(lines) + "\n"
