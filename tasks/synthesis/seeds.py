"""The rows that a model may be shown: clean ones that people wrote."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams, SourceChoice, complete_path
from tasks.config.train import Answers
from tasks.data.decontaminate import HeldOut
from tasks.data.formats import Row, read_rows
from tasks.data.synthetic import KEY, Seed
from tasks.objectives.find import find_objective
from tasks.objectives.objective import RowKind
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.benchmarks import held_out_of
from tasks.prepare.inputs.source_files import SourceFile, source_files
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.order import ChosenStep, chosen_steps
from tasks.prepare.record.content_hash import content_hash
from tasks.prepare.record.forgotten import forgetting
from tasks.prepare.rows import content, held_out_match, row_rules
from tasks.prepare.runner import run_steps
from tasks.prepare.scale.stored import Rows
from tasks.prepare.standard import HELD_OUT, Duplicates, HeldOutItems
from tasks.prepare.steps import StepInputs
from tasks.synthesis.kinds import Kind, can_show

logger = logging.getLogger(__name__)


class Seeds(NamedTuple):
    """What is known before anybody is asked."""

    rows: list[Row]
    """Those that may be shown."""
    others: list[Row]
    """All clean rows of the source, with which what comes back is compared."""
    as_read: Mapping[str, Row]
    """Source of each row -> the row as it was read."""
    people: int
    """Rows of ``prepare.sources`` and of the source that people wrote."""
    synthetic: int
    """And those that a model wrote."""
    left_out: Counter[str]
    """Why rows of the source are not shown -> how many."""
    private: bool
    """Whether a step looks for personal data, so that no text is printed."""
    held_out: HeldOut
    given: StepInputs

    def seed(self, row: Row) -> Seed:
        """How a row that is made of this one names it."""
        read = self.as_read[row.source]
        return Seed(source=row.source, content=content_hash(content(read, self.given.objective)))


def read_seeds(kind: Kind, source: str | None, params: PrepareParams, paths: ArtifactPaths, beside: Path) -> Seeds:
    """Read the rows, and leave out what nobody may be shown.

    Rows that were forgotten, personal data that a step of ``prepare.steps`` takes out, rows that ask what a golden or
    test item asks (reworded they would no longer be found) and rows that a model wrote are shown to no server.

    Args:
        kind: What is asked for.
        source: An entry as in ``prepare.sources``; all of them when None.
        params: How rows are read, and which steps are private.
        paths: The project.
        beside: The file that is written, whose rows do not count.

    Raises:
        UsageError: The source cannot be read, or rows are documents.
    """
    objective = find_objective(params.objective)
    if objective.rows is RowKind.DOCUMENTS:
        raise UsageError(f"prepare.objective {params.objective} learns documents, and there is no question to rewrite")
    steps = chosen_steps(params)
    given = StepInputs(
        params, paths, TokenLengths(paths.export("base"), params.max_length_tokens, Answers.ALL, objective)
    )
    files = [file for file in source_files(params, paths.root, fetch=True) if file.entry < len(params.sources)]
    chosen = {file.name for file in files} if source is None else set()
    if source is not None:
        own = _files_of(source, params, paths)
        chosen = {file.name for file in own}
        files += [file for file in own if file.name not in {known.name for known in files}]
    rows, people, synthetic, left_out = _read(files, chosen, params, beside)
    cleaning = [
        *forgetting(paths),
        ChosenStep("duplicates", Duplicates(), None),
        *(step for step in steps if step.step.private),
    ]
    clean, records = run_steps(cleaning, Rows.of(rows, given.objective), given)
    left_out.update(note.reason for record in records for note in record.dropped)
    share = next((step.step.share for step in steps if isinstance(step.step, HeldOutItems)), None)
    held_out = held_out_of(paths, HELD_OUT, share)
    others = []
    for row in clean:
        if held_out_match(row, held_out, objective) is None:
            others.append(row)
        else:
            left_out["asks what a golden or test item asks"] += 1
    shown = [row for row in others if can_show(row, kind)]
    left_out["has tools, no answer that is learnt, or several questions"] += len(others) - len(shown)
    private = any(step.step.private for step in steps)
    as_read = {row.source: row for row in rows}
    return Seeds(shown, others, as_read, people, synthetic, +left_out, private, held_out, given)


def _files_of(source: str, params: PrepareParams, paths: ArtifactPaths) -> list[SourceFile]:
    try:
        alone = params.model_copy(update={"sources": (SourceChoice(path=complete_path(source)),), "replay": None})
        return source_files(alone, paths.root, fetch=True)
    except ValueError as error:
        raise UsageError(f"--from {source}: {error}") from None
    except UsageError as error:
        raise UsageError(str(error).replace("prepare.sources", "--from")) from None


def _read(
    files: Sequence[SourceFile], chosen: set[str], params: PrepareParams, beside: Path
) -> tuple[list[Row], int, int, Counter[str]]:
    """The rows of the chosen files that people wrote; how many people and models wrote in all files; the others."""
    rows, people, synthetic, left_out = [], 0, 0, Counter[str]()
    for file in files:
        if file.path.resolve() == beside.resolve():
            continue
        for row in read_rows(file.path, file.name, row_rules(params)):
            if not isinstance(row, Row):
                left_out["bad row"] += file.name in chosen
            elif row.fields.get(KEY):
                synthetic += 1
                left_out["a model wrote it"] += file.name in chosen
            else:
                people += 1
                if file.name in chosen:
                    rows.append(row)
    return rows, people, synthetic, left_out
