"""Ask a served model for rows, check what comes back, and write what is left with where it comes from."""

import math
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import read_json, sha256_json, write_json, write_jsonl
from tasks.config.prepare import PrepareParams
from tasks.data.synthetic import KEY, Sampling, Synthetic
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.source_files import RAW
from tasks.served.answers import ChatAnswer
from tasks.served.asking import ask_all
from tasks.served.server import ChatServer
from tasks.synthesis.checks import Candidate, Checks
from tasks.synthesis.kinds import Kind, Request, digest_of, requests_of, turns_of
from tasks.synthesis.replies import UnusableError, read_reply
from tasks.synthesis.seeds import Seeds, read_seeds

KEPT = Path(".ratchet/synthesis")
"""Replies, and when each set of requests was first asked, so that going on another day writes the same file."""
CHARACTERS_OF_TOKEN = 4
"""About, in English."""


@dataclass(frozen=True)
class Wanted:
    """What a user asks for."""

    kind: Kind
    rows: int
    """Requests, and at most so many rows."""
    server: ChatServer
    source: str | None = None
    """An entry as in ``prepare.sources``; all of them when None."""
    max_share: float | None = None
    """Largest share of synthetic rows (fraction 0..1); ``prepare.max_synthetic_share`` when None."""
    seed: int = 0
    target: Path | None = None
    """File below data/raw; named by the kind when None."""
    replace: bool = False
    send_rows: bool = False
    """Whether rows may be sent to another machine."""

    @property
    def path(self) -> Path:
        """The file that is written."""
        return self.target or RAW / f"synthetic_{self.kind.replace('-', '_')}.jsonl"

    @property
    def command(self) -> str:
        """What goes on after a failure, without an address."""
        source = "" if self.source is None else f"--from {shlex.quote(self.source)} "
        return f"ratchet data synthesize {source}--kind {self.kind} --rows {self.rows} ..."


@dataclass(frozen=True)
class Plan:
    """What would be asked."""

    wanted: Wanted
    requests: list[Request]
    seeds: Seeds

    @property
    def tokens(self) -> int:
        """Tokens of all requests, by their characters; the replies come on top."""
        characters = sum(len(turn["content"]) for request in self.requests for turn in request.messages)
        return characters // CHARACTERS_OF_TOKEN


@dataclass(frozen=True)
class Result:
    """What came of it."""

    path: Path
    asked: int
    written: int
    refused: Counter[str]
    """Reason -> replies."""


def plan(wanted: Wanted, params: PrepareParams, paths: ArtifactPaths) -> Plan:
    """Read the rows and draw what is asked; nothing is sent.

    Raises:
        UsageError: The file is there or outside data/raw, the source has too few rows, or so many synthetic rows would
            be beyond the share.
    """
    _check_target(wanted, paths)
    seeds = read_seeds(wanted.kind, wanted.source, params, paths, paths.root / wanted.path)
    _check_share(wanted, seeds, params)
    return Plan(wanted, requests_of(wanted.kind, seeds.rows, wanted.rows, wanted.seed), seeds)


def synthesize(planned: Plan, paths: ArtifactPaths) -> Result:
    """Ask for all rows, check them, and write those that are left; the file is written whole or not at all.

    Raises:
        UsageError: Rows would be sent to another machine, or the server refuses all requests.
        StageError: The server cannot be reached, or no reply makes a row.
    """
    wanted, server = planned.wanted, planned.wanted.server
    if not server.is_here and not wanted.send_rows:
        raise UsageError(
            f"{server.shown_url} is another machine, and the requests hold texts of your rows; add --send-rows if they "
            "may leave this one, or name a server here (http://127.0.0.1:PORT/v1)"
        )
    day = _begun(planned, paths)
    answers = ask_all(
        server,
        [request.messages for request in planned.requests],
        paths.root / KEPT,
        f"synthesize {wanted.kind}",
        version=digest_of(wanted.kind),
        again=wanted.command,
    )
    refused: Counter[str] = Counter()
    candidates = []
    for request, answer in zip(planned.requests, answers, strict=True):
        try:
            candidates.append(Candidate(request, _entry(planned, request, answer, day)))
        except UnusableError as error:
            refused[str(error)] += 1
    checked = Checks(wanted.kind, planned.seeds.others, planned.seeds.held_out, planned.seeds.given).of(candidates)
    refused.update(checked.refused)
    if not checked.kept:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in refused.most_common(5))
        raise StageError(
            f"none of {len(answers)} replies makes a row: {reasons}; nothing was written: try another model or another "
            "--seed"
        )
    write_jsonl(paths.root / wanted.path, [dict(entry) for entry in checked.kept])
    return Result(wanted.path, len(answers), len(checked.kept), refused)


def _entry(planned: Plan, request: Request, answer: ChatAnswer, day: str) -> Mapping[str, Any]:
    """The row as the file has it.

    Raises:
        UnusableError: The reply makes none.
    """
    wanted, seeds = planned.wanted, planned.seeds
    turns = turns_of(request, read_reply(wanted.kind, answer))
    mark = Synthetic(
        kind=wanted.kind,
        model=wanted.server.model,
        prompt=digest_of(wanted.kind),
        seeds=tuple(map(seeds.seed, request.seeds)),
        sampling=Sampling(
            temperature=wanted.server.temperature,
            max_tokens=wanted.server.max_tokens,
            seed=wanted.server.seed if wanted.server.temperature else None,
        ),
        date=day,
    )
    params = seeds.given.params
    fields = request.seeds[0].fields
    split = {key: fields[key] for key in (params.group_by, *params.split.keys) if key is not None and key in fields}
    row_id = f"synthetic/{wanted.kind}/{sha256_json(turns)[:12]}"
    return {"id": row_id, "messages": turns, **split, KEY: mark.model_dump(mode="json", exclude_none=True)}


def _begun(planned: Plan, paths: ArtifactPaths) -> str:
    """The day on which these requests were first asked (UTC, ISO 8601)."""
    server = planned.wanted.server
    asked = [list(map(dict, request.messages)) for request in planned.requests]
    path = paths.root / KEPT / f"{sha256_json([server.model, server.sampling, asked])[:32]}.json"
    if not path.is_file():
        write_json(path, {"schema_version": 1, "date": datetime.now(UTC).date().isoformat()})
    return str(read_json(path, "ratchet data synthesize")["date"])[:10]


def _check_target(wanted: Wanted, paths: ArtifactPaths) -> None:
    path = paths.root / wanted.path
    if not path.resolve().is_relative_to((paths.root / RAW).resolve()) or path.suffix != ".jsonl":
        raise UsageError(f"--to {wanted.path}: expected a file {RAW}/NAME.jsonl, where prepare.sources finds its rows")
    if path.exists() and not wanted.replace:
        raise UsageError(f"{wanted.path} is there; add --replace to write it anew, or name another file with --to")


def _check_share(wanted: Wanted, seeds: Seeds, params: PrepareParams) -> None:
    """Refuse to pay for rows that ``prepare`` would leave out."""
    share = params.max_synthetic_share if wanted.max_share is None else wanted.max_share
    if share >= 1.0:
        return
    most = max(0, math.floor(share / (1.0 - share) * seeds.people + 1e-9) - seeds.synthetic)
    if wanted.rows > most:
        there = f" and the {seeds.synthetic} synthetic ones that are there" if seeds.synthetic else ""
        setting = "prepare.max_synthetic_share" if wanted.max_share is None else "--max-share"
        raise UsageError(
            f"--rows {wanted.rows}: beside {seeds.people} rows that people wrote{there}, {setting} = {share:g} leaves "
            f"room for {most}; lower --rows to that, or raise the share"
        )
