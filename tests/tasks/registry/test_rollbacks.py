"""Promotions, rollbacks and retirements in any order; bytes and decisions are stood in for, the ledger is real."""

import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from evalsuite.core.errors import UsageError
from evalsuite.gate.decision import Decision
from evalsuite.gate.policy import GatePolicy
from tasks.config.operations import PromoteParams
from tasks.paths import ArtifactPaths
from tasks.registry.champion import read_champion, read_stored, write_champion
from tasks.registry.ledger import Event, ledger_path, read_ledger
from tasks.registry.promote import Override, promote, rollback
from tests.tasks.registry.ledger_entries import add

POLICY = GatePolicy.model_validate({"rules": [{"suite": "s", "metric": "m", "kind": "guard", "margin": 0.1}]})
MODELS = st.sampled_from([letter * 64 for letter in "abcde"])


def decision_on(identity: str, champion: str | None) -> Decision:
    fields = {
        "decision_id": identity,
        "verdict": "PROMOTE",
        "headline": "PROMOTE",
        "candidate": "full",
        "candidate_identity": identity,
        "baselines": {"champion": champion} if champion else {},
        "num_candidates": 1,
        "policy": POLICY,
        "policy_sha256": "",
        "evidence": {},
        "inputs_sha256": identity,
        "reasons": (),
    }
    return Decision.model_validate(fields)


class Registry(RuleBasedStateMachine):
    """``out`` is what somebody took out and nobody named since."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.paths = ArtifactPaths(Path(self.folder.name))
        self.out: set[str] = set()
        self.ever: set[str] = set()

    def teardown(self) -> None:
        self.folder.cleanup()

    @property
    def present(self) -> str | None:
        champion = read_champion(self.paths)
        return champion.identity if champion else None

    @rule(identity=MODELS, by_name=st.booleans())
    def promote(self, identity: str, by_name: bool) -> None:
        if identity == self.present:
            return
        stands = {
            "read_decision": lambda *_: decision_on(identity, self.present),
            "verify_manifest": lambda *_: SimpleNamespace(identity=identity),
            "_verify_decision": lambda *_: None,
            "store": lambda *_: None,
        }
        override = Override(by="ann", reason="needed") if by_name else None
        with patch.multiple("tasks.registry.promote", **stands):
            if identity in self.out and not by_name:
                with pytest.raises(UsageError, match="only a named person makes the same bytes champion again"):
                    promote(self.paths, PromoteParams(), override)
                return
            promote(self.paths, PromoteParams(), override)
        assert self.present == identity
        self.out.discard(identity)
        self.ever.add(identity)

    @precondition(lambda self: self.present is not None)
    @rule()
    def roll_back(self) -> None:
        before, problem = self.present, ""
        try:
            self.back(None)
        except UsageError as error:
            problem = str(error)
        if problem:
            assert "no earlier one exists" in problem or "rolled back or retired" in problem
            assert self.present == before
            return
        assert self.present != before
        assert self.present in self.ever - self.out
        self.out.add(str(before))

    @rule(identity=MODELS)
    def roll_back_to(self, identity: str) -> None:
        before = self.present
        if identity == before or identity not in self.ever:
            with pytest.raises(UsageError, match="earlier champions"):
                self.back(identity)
            return
        self.back(identity)
        assert self.present == identity
        self.out.discard(identity)
        self.out |= {before} if before else set()

    @precondition(lambda self: self.present is not None)
    @rule()
    def retire(self) -> None:
        before = str(self.present)
        self.back("none")
        assert self.present is None
        self.out.add(before)

    def back(self, to: str | None) -> None:
        with patch("tasks.registry.promote.materialise", lambda *_: None):
            rollback(self.paths, to, "slow")

    @invariant()
    def the_champion_is_nobody_that_was_taken_out(self) -> None:
        assert self.present not in self.out
        assert read_stored(self.paths) == read_champion(self.paths)


TestRegistry = Registry.TestCase
TestRegistry.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)


def test_a_rollback_passes_over_a_model_that_was_rolled_back_before(tmp_path: Path) -> None:
    paths = ArtifactPaths(tmp_path)
    for model, before in (("a", None), ("b", "a"), ("c", "b"), ("d", "c")):
        add(tmp_path, Event.PROMOTE, model, replaced=before)
    write_champion(paths)
    with patch("tasks.registry.promote.materialise", lambda *_: None):
        rollback(paths, "b", "c and d are slow")
        rollback(paths, "c", "it was b")
        rollback(paths, None, "it was c too")
        assert read_ledger(ledger_path(paths))[-1].identity == "a" * 64
        with pytest.raises(UsageError, match="is the first champion"):
            rollback(paths, None, "who is left")


def test_a_rollback_with_nobody_left_names_who_was_taken_out(tmp_path: Path) -> None:
    paths = ArtifactPaths(tmp_path)
    add(tmp_path, Event.PROMOTE, "a")
    add(tmp_path, Event.RETIRE, "a", replaced="a")
    add(tmp_path, Event.PROMOTE, "b")
    add(tmp_path, Event.PROMOTE, "c", replaced="b")
    write_champion(paths)
    with patch("tasks.registry.promote.materialise", lambda *_: None):
        rollback(paths, None, "slow")
        rollback(paths, "c", "it was not c")
        with pytest.raises(
            UsageError, match=f"every champion before {'c' * 16} was rolled back or retired.*{'b' * 16}"
        ):
            rollback(paths, None, "it was")


def test_a_rollback_follows_who_replaced_whom_not_the_order_of_promotions(tmp_path: Path) -> None:
    paths = ArtifactPaths(tmp_path)
    for model, before in (("a", None), ("b", "a"), ("c", "b")):
        add(tmp_path, Event.PROMOTE, model, replaced=before)
    write_champion(paths)
    with patch("tasks.registry.promote.materialise", lambda *_: None):
        rollback(paths, "a", "c is slow, and b was no better")
        add(tmp_path, Event.PROMOTE, "d", replaced="a")
        write_champion(paths)
        rollback(paths, None, "d is slow too")
    assert read_ledger(ledger_path(paths))[-1].identity == "a" * 64


def test_a_model_that_was_named_again_is_not_passed_over(tmp_path: Path) -> None:
    paths = ArtifactPaths(tmp_path)
    add(tmp_path, Event.PROMOTE, "a")
    add(tmp_path, Event.PROMOTE, "b", replaced="a")
    write_champion(paths)
    with patch("tasks.registry.promote.materialise", lambda *_: None):
        rollback(paths, None, "slow")
        rollback(paths, "b", "it was the network")
        add(tmp_path, Event.PROMOTE, "c", replaced="b")
        write_champion(paths)
        rollback(paths, None, "c is slow")
    assert read_ledger(ledger_path(paths))[-1].identity == "b" * 64
