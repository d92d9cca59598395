"""Read, put through the steps, split, write."""

import logging
import shutil
from pathlib import Path
from typing import Any

from tasks.config.prepare import PrepareParams
from tasks.config.train import Answers
from tasks.objectives.find import blamed, find_objective
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.quarantine import QUARANTINE
from tasks.prepare.inputs.source_files import say_links, source_files
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.mixing import mixture
from tasks.prepare.order import chosen_steps, is_private, mixing
from tasks.prepare.record.forgotten import forgetting
from tasks.prepare.record.page import Prepared, write_page
from tasks.prepare.record.trail import trail_rows, write_trail
from tasks.prepare.report import report_of
from tasks.prepare.runner import Record, run_steps
from tasks.prepare.scale.choice import engine_of
from tasks.prepare.sources import check_sources, read_sources
from tasks.prepare.splits import split
from tasks.prepare.steps import StepInputs
from tasks.prepare.writing import write

logger = logging.getLogger(__name__)


def run(params: PrepareParams, paths: ArtifactPaths, answers: Answers = Answers.ALL) -> dict[str, Any]:
    """Write data/prepared: train.jsonl, dev.jsonl, trail.parquet, report.html, data_card.md and, last, report.json.

    The old folder stands until the new one is whole.

    Args:
        params: What to read, and what to leave out.
        paths: The project.
        answers: Which answers of a conversation training will learn (``train.answers``).

    Raises:
        UsageError: A source is absent, empty or outside data/raw, too many rows are bad, nothing is left to split, or
            the chat template cannot write a row as it is to be learnt.
        StageError: The hub of a source does not answer.
    """
    chosen = chosen_steps(params)
    steps, private = [*forgetting(paths), *chosen], is_private(chosen)
    check_sources(params, paths)
    say_links(source_files(params, paths.root, fetch=True), paths.root)
    objective = find_objective(params.objective)
    lengths = TokenLengths(paths.export("base"), params.max_length_tokens, answers, objective, private)
    with engine_of(params) as engine:
        given = StepInputs(params, paths, lengths, engine)
        read = read_sources(params, paths, engine)
        for file in read.files:
            logger.info("%s", file)
        with blamed(objective):
            kept, records = run_steps([*steps, *mixing(read.rows, given)], read.rows, given)
            sides, left_out = split(kept, lengths.of(kept, engine), given)
        if left_out:
            records.append(Record("split", len(kept), left_out, []))
        report = report_of(read, records, sides, given)
        report |= mixture([side.rows for side in sides.values()], given, private)

        def beside(folder: Path) -> None:
            if read.quarantine.is_file():
                shutil.move(read.quarantine, folder / QUARANTINE)
            trail = trail_rows(read.rows, read.bad, records, sides)
            report["trail_md5"] = write_trail(folder / paths.trail.name, trail, records)
            write_page(folder, Prepared(read, records, sides, report, given))

        write(paths.prepared, sides, report, given, beside)
    return report
