"""A stored decision is recomputed from what it was made from, or the field that differs is named."""

import gzip
import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalsuite.core.errors import MissingArtifactError, NotReplayedError, UsageError
from evalsuite.gate.decide import decide
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.replay import gate_code_sha256, read_record, replay, write_record
from evalsuite.gate.rules import Against, Ceiling, Guard
from evalsuite.items.results import EvalReport, ScoreTable, SuiteInfo

POLICY = GatePolicy(rules=(Guard(suite="s", metric="m", margin=0.2, slices="topic"),))


def report(model: str, shift: int, unscored: int = 0) -> EvalReport:
    scores = np.array([float((i + shift) % 3 > 0) for i in range(90)])
    scores[:unscored] = math.nan
    ids = tuple(f"i{i}" for i in range(90))
    table = ScoreTable(
        info=SuiteInfo(suite="s", suite_version="1", items_sha256="x"),
        item_ids=ids,
        item_hashes=ids,
        clusters=ids,
        slices={"topic": tuple("ab"[i % 2] for i in range(90))},
        scores={"m": scores},
        applies={"m": np.ones(90, dtype=np.bool_)},
        must_pass={},
    )
    return EvalReport(model, model * 8, {"s": table}, {"num_bytes": 5.0})


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    candidate, baselines = report("c", 1, unscored=1), {"base": report("b", 0)}
    decision = decide(candidate, baselines, POLICY, code_sha256=gate_code_sha256())
    write_record(tmp_path / "d.json.gz", decision, candidate, baselines)
    return tmp_path / "d.json.gz"


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(gzip.decompress(path.read_bytes()))
    edit(data)
    path.write_bytes(gzip.compress(json.dumps(data).encode()))


@pytest.mark.parametrize("cost", [math.nan, math.inf, -0.0, 4.0])
def test_a_decision_on_costs_is_replayed_whatever_was_recorded(tmp_path: Path, cost: float) -> None:
    limit = Ceiling(suite="costs", metric="num_bytes", limit=1.2, relative_to=Against.BASE)
    candidate, base = (replace(report(name, 0), costs={"num_bytes": cost, "other": 1.0}) for name in "cb")
    policy = GatePolicy(rules=(*POLICY.rules, limit))
    decision = decide(candidate, {"base": base}, policy, code_sha256=gate_code_sha256())
    write_record(tmp_path / "d.json.gz", decision, candidate, {"base": base})
    assert replay(read_record(tmp_path / "d.json.gz")) == decision


def test_what_was_stored_gives_the_same_decision_in_another_process(stored: Path) -> None:
    record = read_record(stored)
    assert replay(record) == record.decision
    code = (
        "import sys; from pathlib import Path; from evalsuite.gate.replay import *; "
        "print(replay(read_record(Path(sys.argv[1]))).decision_id)"
    )
    environment = {"PYTHONHASHSEED": "7", "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    run = [sys.executable, "-c", code, str(stored)]
    done = subprocess.run(
        run, env=environment, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.strip() == record.decision.decision_id


def test_the_same_decision_is_stored_as_the_same_bytes(stored: Path, tmp_path: Path) -> None:
    candidate, baselines = report("c", 1, unscored=1), {"base": report("b", 0)}
    write_record(tmp_path / "again.json.gz", read_record(stored).decision, candidate, baselines)
    assert (tmp_path / "again.json.gz").read_bytes() == stored.read_bytes()


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (lambda d: d["candidate"]["suites"]["s"]["scores"]["m"].__setitem__(4, 0.5), "evidence of candidate/s"),
        (lambda d: d["baselines"]["base"]["suites"]["s"]["item_hashes"].__setitem__(4, "?"), "evidence of base/s"),
        (lambda d: d["decision"]["policy"]["rules"][0].__setitem__("margin", 0.9), "policy_sha256"),
        (lambda d: d["decision"].__setitem__("verdict", "PROMOTE"), "decision_id"),
        (lambda d: d["decision"].__setitem__("code_sha256", "0" * 64), "code_sha256 .*check out the commit"),
        (lambda d: d["candidate"].__setitem__("identity", "other"), "candidate_identity"),
        (lambda d: d["decision"]["reasons"][0].__setitem__("lower", 0.0), "reasons"),
        (lambda d: d["candidate"]["suites"]["s"]["scores"]["m"].pop(), "different lengths"),
    ],
)
def test_whatever_was_changed_is_named(stored: Path, edit: Callable[[dict[str, Any]], object], field: str) -> None:
    change(stored, edit)
    with pytest.raises(NotReplayedError, match=field):
        replay(read_record(stored))


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        pytest.param(
            lambda d: d["candidate"]["suites"]["s"]["applies"].clear(), "which items 'm' applies", id="applies"
        ),
        pytest.param(lambda d: d["decision"].update(num_candidates=10**400), "num_candidates", id="candidates"),
        pytest.param(
            lambda d: d["candidate"].update(model="\ud800"), "half of a surrogate pair", id="half-a-character"
        ),
    ],
)
def test_what_no_gate_wrote_is_refused_in_words(
    stored: Path, edit: Callable[[dict[str, Any]], object], told: str
) -> None:
    change(stored, edit)
    with pytest.raises(UsageError, match=told):
        replay(read_record(stored))


def test_a_damaged_file_is_named_with_its_remedy(stored: Path) -> None:
    stored.write_bytes(stored.read_bytes()[:-20])
    with pytest.raises(UsageError, match="is damaged"):
        read_record(stored)
    stored.write_bytes(gzip.compress(b'{"schema_version": 9}'))
    with pytest.raises(UsageError, match="schema_version"):
        read_record(stored)
    with pytest.raises(MissingArtifactError, match="ratchet history"):
        read_record(stored.with_name("none.json.gz"))
