"""report.html and data_card.md: what the page on the rows says, worked out from a preparation."""

import json
import logging
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from gzip import BadGzipFile
from gzip import decompress as unzip
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evalsuite.core.files import write_text
from evalsuite.data_page.card import data_card
from evalsuite.data_page.drift import MORE, Counts, drift_of
from evalsuite.data_page.facts import (
    DataFacts,
    Example,
    ReasonFact,
    ReplayFact,
    SideFact,
    SourceFact,
    StepFact,
    SyntheticFact,
)
from evalsuite.data_page.languages import SAMPLE as LANGUAGE_SAMPLE
from evalsuite.data_page.languages import languages_of
from evalsuite.data_page.page import build_data_page
from evalsuite.data_page.topics import SAMPLE as TOPIC_SAMPLE
from evalsuite.data_page.topics import topics_of
from tasks.data.formats import Row
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.source_files import file_of
from tasks.prepare.languages import language_of
from tasks.prepare.record.forgotten import NAME as FORGOTTEN
from tasks.prepare.record.trail import events_of, shows_text, steps_of
from tasks.prepare.report import HISTOGRAM_TOKENS
from tasks.prepare.rows import asked_text
from tasks.prepare.runner import Record
from tasks.prepare.scale.stored import only
from tasks.prepare.sources import ReadSources
from tasks.prepare.splits import Side
from tasks.prepare.steps import Note, StepInputs

logger = logging.getLogger(__name__)

MAX_EXAMPLES = 5
MAX_PAIRS = 50
"""Rows that are listed with the detail that tells them, such as pairs with golden items."""
MAX_DETAILS = 12
KIND = re.compile(r"\b(?:(\d+) ([A-Z][A-Z0-9_]{2,})\b|([A-Z][A-Z0-9_]{2,})[ :=]{1,2}(\d+)\b)")
"""A kind of thing and how many of it, as the notes of steps count them: ``EMAIL_ADDRESS 2``, ``2 EMAIL_ADDRESS``."""
CHOSEN = (
    *("steps", "dev_fraction", "group_by", "max_rows", "max_length_tokens", "max_bad_fraction", "seed"),
    *("replay", "max_synthetic_share"),
)
"""Settings that say how the rows were chosen."""


@dataclass(frozen=True)
class Prepared:
    """A preparation, as ``tasks.prepare.preparation`` has it in hand."""

    read: ReadSources
    """The rows as they were read."""
    records: Sequence[Record]
    sides: Mapping[str, Side]
    report: Mapping[str, Any]
    """What report.json says."""
    given: StepInputs


def write_page(folder: Path, prepared: Prepared) -> None:
    """Write report.html and data_card.md; the same rows, settings and champion give the same bytes."""
    facts = facts_of(prepared)
    write_text(folder / "report.html", build_data_page(facts))
    write_text(folder / "data_card.md", data_card(facts))


def facts_of(prepared: Prepared) -> DataFacts:
    """Work out everything that the page says."""
    params, report = prepared.given.params, prepared.report
    asked = _sampled(prepared.sides.values(), TOPIC_SAMPLE, params.seed, asked_text)
    told = _sampled(prepared.sides.values(), LANGUAGE_SAMPLE, params.seed, _spoken_text)
    champion = champion_counts(prepared.given.paths)
    drift = (
        None if isinstance(champion, str) else drift_of(champion[0][:16], champion[1], Counts.model_validate(report))
    )
    chosen = params.model_dump(mode="json", include=set(CHOSEN), exclude_none=True)
    return DataFacts(
        objective=params.objective,
        rows_read=report["rows_read"],
        bad_rows=len(prepared.read.bad),
        first_bad=tuple(report["bad_rows"]["first"][:20]),
        formats=report["formats"],
        steps=tuple(_steps(prepared)),
        reasons=tuple(_reasons(prepared)),
        sources=tuple(_sources(prepared)),
        datasets=params.datasets,
        sides={name: _side(side, report["splits"][name]) for name, side in prepared.sides.items()},
        edges=(*map(str, HISTOGRAM_TOKENS), MORE),
        answers=report.get("answers", {}),
        languages=languages_of(told, language_of),
        topics=topics_of(asked, params.seed, examples=not _withheld(prepared.records)),
        drift=drift,
        drift_note=champion if isinstance(champion, str) else "",
        texts_withheld=_withheld(prepared.records),
        forgotten=sum(len(record.dropped) for record in prepared.records if record.name == FORGOTTEN),
        counted={
            step["name"]: tuple((name, tuple(each.items())) for name, each in step["counted"].items())
            for step in report["steps"]
            if step.get("counted")
        },
        **_mixture(report),
        settings={name: json.dumps(value, ensure_ascii=False) for name, value in chosen.items()},
    )


def _mixture(report: Mapping[str, Any]) -> dict[str, Any]:
    """Replay and synthetic rows, where there are any."""
    total = sum(side["rows"] for side in report["splits"].values()) or 1
    replay, written = report.get("replay"), report.get("synthetic", {"by": ()})
    told = replay and ReplayFact(
        replay["path"], replay["rows"], 100.0 * replay["rows"] / total, 100.0 * replay["share"]
    )
    facts = tuple(SyntheticFact(**each, percent=100.0 * each["rows"] / total) for each in written["by"])
    return {"replay": told, "synthetic": facts}


def champion_counts(paths: ArtifactPaths) -> tuple[str, Counts] | str:
    """Identity and data of the present champion, as its decision keeps them; or why there is nothing to compare with.

    The registry is no dependency of the stage: a promotion prepares nothing again, and the page names its champion.
    """
    try:
        champion = json.loads((paths.registry / "champion.json").read_text(encoding="utf-8"))["champion"]
    except FileNotFoundError:
        champion = None
    except (OSError, ValueError, KeyError, TypeError):
        return "registry/champion.json cannot be read, so that nothing is compared; `ratchet history` says why."
    if champion is None:
        return "There is no champion to compare the rows with."
    not_kept = "The run of the champion kept no counts of its rows, so that nothing is compared."
    try:
        stored = paths.stored_decision(str(champion["decision_id"])).read_bytes()
        data = (json.loads(unzip(stored)).get("run") or {}).get("data")
        return not_kept if data is None else (str(champion["identity"]), Counts.model_validate(data))
    except (OSError, EOFError, BadGzipFile, ValueError, KeyError, TypeError, AttributeError, ValidationError):
        return not_kept


def _sampled(sides: Iterable[Side], most: int, seed: int, text: Callable[[Row], str]) -> list[str]:
    """The texts of some rows of all sides, in their order."""
    rows = [side.rows for side in sides]
    total = sum(map(len, rows))
    drawn = sorted(random.Random(seed).sample(range(total), min(most, total)))  # noqa: S311  a sample, no secret
    found: list[str] = []
    begin = 0
    for each in rows:
        found += map(text, only(each, [at - begin for at in drawn if begin <= at < begin + len(each)]))
        begin += len(each)
    return found


def _spoken_text(row: Row) -> str:
    """What user and assistant say, or the document."""
    if row.text is not None:
        return row.text
    return "\n".join(str(turn["content"]) for turn in row.messages if turn["role"] != "system")


def _shown_text(row: Row) -> str:
    """A row as the page shows it."""
    return (
        row.text if row.text is not None else "\n".join(f"{turn['role']}: {turn['content']}" for turn in row.messages)
    )


def _steps(prepared: Prepared) -> Iterator[StepFact]:
    """What is left after reading and after each step; tokens of rows that are gone are told by their characters."""
    given, sides = prepared.given, prepared.sides.values()
    read, good = prepared.report["rows_read"], len(prepared.read.rows)
    tokens = float(sum(length for side in sides for each in side.lengths for length in each))
    each = tokens / (sum(head.characters for side in sides for head in given.heads(side.rows)) or 1)
    dropped = {note.source for record in prepared.records for note in record.dropped}
    heads = given.heads(prepared.read.rows) if dropped else ()
    characters = {head.source: head.characters for head in heads if head.source in dropped}
    lost = [sum(characters[note.source] for note in record.dropped) * each for record in prepared.records]

    def fact(name: str, rows: int, dropped: int, changed: int, left: float) -> StepFact:
        return StepFact(name, rows, dropped, changed, left, 100.0 * rows / (read or 1), 100.0 * dropped / (read or 1))

    left = tokens + sum(lost)
    yield fact("read", read, 0, 0, left)
    yield fact("could be parsed", good, read - good, 0, left)
    for record, gone in zip(prepared.records, lost, strict=True):
        counts, left = record.counts, left - gone
        yield fact(record.name, counts["kept"], counts["dropped"], counts["changed"], max(left, 0.0))


def _reasons(prepared: Prepared) -> Iterator[ReasonFact]:
    """What each step dropped and changed, by reason, the commonest of a step first."""
    chosen: list[tuple[Record, str, str, list[Note]]] = []
    for record in prepared.records:
        for did, notes in (("dropped", record.dropped), ("changed", record.changed)):
            by_reason: dict[str, list[Note]] = {}
            for note in notes:
                by_reason.setdefault(note.reason, []).append(note)
            ranked = sorted(by_reason.items(), key=lambda each: (-len(each[1]), each[0]))
            chosen += [(record, did, reason, found) for reason, found in ranked]
    first = {note.source: note for *_, found in chosen for note in found[:MAX_PAIRS]}
    texts = _texts(prepared, {*first, *(note.other for note in first.values() if note.other)})
    for record, did, reason, found in chosen:
        details = Counter(note.detail for note in found if note.detail)
        repeated = bool(details) and details.most_common(1)[0][1] > 1
        kinds = _kinds(found)
        told = (found[0].detail or found[0].other) and not kinds
        yield ReasonFact(
            step=record.name,
            did=did,
            reason=reason,
            count=len(found),
            details=tuple(_ranked(details)[:MAX_DETAILS]) if repeated else (),
            kinds=tuple(_ranked(kinds)),
            examples=tuple(
                Example(note.source, note.detail, note.other, *(_pair(note, texts) if at < MAX_EXAMPLES else (None,)))
                for at, note in enumerate(found[: MAX_PAIRS if told else MAX_EXAMPLES])
            ),
            private=record.private,
        )


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def _kinds(notes: Sequence[Note]) -> Counter[str]:
    """How many of each kind of thing the details count."""
    found: Counter[str] = Counter()
    for note in notes:
        for before, after_number, name, number in KIND.findall(note.detail):
            found[after_number or name] += int(before or number)
    return found


def _pair(note: Note, texts: Mapping[str, str]) -> tuple[str | None, str | None]:
    """A row's text and that of the row that explains it; what may not be shown is None."""
    return texts.get(note.source), texts.get(note.other) if note.source in texts else None


def _texts(prepared: Prepared, wanted: set[str]) -> dict[str, str]:
    """The texts of these rows as they were read, of those that every private step left alone."""
    if _withheld(prepared.records):
        return {}
    steps = steps_of(prepared.records)
    events = events_of(prepared.records)
    heads = enumerate(prepared.given.heads(prepared.read.rows)) if wanted else ()
    rows = only(prepared.read.rows, [at for at, head in heads if head.source in wanted])
    return {row.source: _shown_text(row) for row in rows if shows_text(events.get(row.source, ()), steps)}


def _withheld(records: Sequence[Record]) -> bool:
    """Whether a step looks for personal data: it may miss some, or be told to leave it, so that no text is shown."""
    return any(record.private and record.name != FORGOTTEN for record in records)


def _sources(prepared: Prepared) -> Iterator[SourceFact]:
    """Every source, with what became of its rows."""
    given = prepared.given
    good = {file.name: sum(file.formats.values()) for file in prepared.read.files}
    bad = Counter(file_of(row.source) for row in prepared.read.bad)
    on: dict[str, Counter[str]] = {name: Counter() for name in prepared.sides}
    tokens: Counter[str] = Counter()
    for name, side in prepared.sides.items():
        for head, lengths in zip(given.heads(side.rows), side.lengths, strict=True):
            file = file_of(head.source)
            on[name][file] += 1
            tokens[file] += sum(lengths)
    hashes = prepared.report["sources"]
    for name in [*hashes, *sorted(bad.keys() - hashes.keys())]:
        yield SourceFact(
            name=name,
            sha256=hashes.get(name, ""),
            read=good.get(name, 0) + bad[name],
            bad=bad[name],
            train=on["train"][name],
            dev=on["dev"][name],
            tokens=tokens[name],
        )


def _side(side: Side, told: Mapping[str, Any]) -> SideFact:
    import numpy as np

    lengths = np.asarray([length for each in side.lengths for length in each] or [0])
    return SideFact(
        rows=len(side.places),
        sequences=sum(map(len, side.lengths)),
        tokens=told["tokens"],
        groups=len(side.groups),
        median=float(np.median(lengths)),
        p95=float(np.percentile(lengths, 95, method="higher")),
        longest=told["longest"],
        histogram=told["histogram_up_to_tokens"],
    )
