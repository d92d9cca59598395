"""Training rows against every gated item, before anything is gated."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from evalsuite.contamination.overlap import ContaminationReport
from evalsuite.contamination.training import TrainingIndex, TrainingText
from evalsuite.core.errors import MissingArtifactError
from evalsuite.core.files import sha256_file, write_json
from evalsuite.items.results import read_result
from tasks.config.contamination import ContaminationParams
from tasks.config.section import StageSections
from tasks.paths import ArtifactPaths

MADE_BY = "ratchet stage evaluate_baseline@base"
MAX_TOKENS = 256
"""all-MiniLM-L6-v2 was trained on texts of this length; longer ones are cut."""

OF_EVERY_ROW = frozenset(("id", "messages", "text", "tools", "num_tokens"))
"""Keys of prepared rows; any other is a field that the objective learns from, such as rejected answers."""


def run(params: ContaminationParams, paths: ArtifactPaths) -> ContaminationReport:
    """Look every item up and write reports/contamination.json; whether it is too much is the gate's to say.

    Raises:
        MissingArtifactError: There are no training rows, or the base model was not evaluated.
    """
    train = paths.prepared / "train.jsonl"
    if not train.is_file():
        raise MissingArtifactError(f"no training rows at {train}; make them with `ratchet stage prepare`")
    rows = []
    for line in train.read_bytes().split(b"\n"):
        if line.strip():
            row = json.loads(line)
            messages = row.get("messages") or [{"role": "document", "content": row["text"]}]
            turns = [turn["content"] for turn in messages if turn["role"] != "system"]
            own = [text for key, value in row.items() if key not in OF_EVERY_ROW for text in _texts(value)]
            rows.append(TrainingText(str(row["id"]), (*turns, *own)))
    encoder, embed = None, None
    if params.embedding_model is not None:
        from evalsuite.engines.sentences import SentenceEncoder

        encoder = SentenceEncoder(params.embedding_model)
        embed = partial(encoder.embed, max_tokens=MAX_TOKENS)
    index = TrainingIndex(rows, embed, params.neighbour_similarity)
    folders = sorted(path.parent for path in paths.evals("base").glob("*/summary.json"))
    if not folders:
        raise MissingArtifactError(f"no evaluation under {paths.evals('base')}; make it with `{MADE_BY}`")
    results = [read_result(folder, MADE_BY) for folder in folders]
    report = ContaminationReport(
        train_sha256=sha256_file(train),
        num_rows=len(rows),
        embedding=encoder.version if encoder else None,
        neighbour_similarity=params.neighbour_similarity if encoder else None,
        max_fraction=params.max_fraction,
        suites=index.check_all({result.info.suite: result.items for result in results}),
    )
    write_json(paths.contamination, report)
    return report


def _texts(value: Any) -> Iterator[str]:
    """The texts of a field; of turns, what they say."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, dict):
        said = value.get("content") if "role" in value else list(value.values())
        yield from _texts(said)


class Sections(StageSections):
    """What the stage reads of params.yaml."""

    contamination: ContaminationParams = ContaminationParams()


def stage(params: Sections, paths: ArtifactPaths) -> str:
    """Do the work; returns its summary."""
    return run(params.contamination, paths).line
