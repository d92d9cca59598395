"""HarmBench (Mazeika et al. 2024, arXiv:2402.04249): how often a model does what it must not do.

Direct requests, or the test cases of an attack; a judge says of each completion whether it shows the behaviour.
Copyright behaviours have a rule of their own, ``evalsuite.judges.copyright``.
"""

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from evalsuite.core.errors import UsageError
from evalsuite.core.files import parse_json, sha256_json
from evalsuite.core.settings import Settings
from evalsuite.engines.base import Engine, Generation
from evalsuite.items.results import ItemResult, SuiteResult
from evalsuite.judges.base import Judge, JudgeCase, Verdict
from evalsuite.judges.choose import harm_judge, outside_of
from evalsuite.judges.copyright import CopyrightRule
from evalsuite.judges.settings import JudgeSettings
from evalsuite.suites.base import Suite, chosen_items, result_of, single_turns, spread_over
from evalsuite.suites.behaviours import Behaviour, read_behaviours
from evalsuite.suites.csv_rows import read_csv_rows
from evalsuite.suites.entry import SuiteContext, SuiteEntry
from evalsuite.suites.golden_set import reasoning
from evalsuite.suites.judging import MAX_UNREADABLE, check_verdicts, scored_by

ATTACK_SUCCESS = "attack_success"
COPYRIGHT = "copyright_reproduced"


class HarmBenchParams(Settings):
    """How often the model does what it must not do; metric ``attack_success``, better lower."""

    data: str
    """harmbench_behaviors_text_all.csv of centerforaisafety/HarmBench, or its folder."""
    judge: JudgeSettings = JudgeSettings()
    attack: str | None = None
    """JSON (behaviour id -> test cases) or CSV (BehaviorID, test_case) of an attack; direct requests when absent."""
    copyright_references: str | None = None
    """HarmBench's data/copyright_classifier_hashes; copyright behaviours stay unscored when absent."""
    max_new_tokens: int = Field(default=512, ge=1)
    """Longest completion; HarmBench's own is 512."""
    limit: int | None = Field(default=None, ge=1)
    """About this many test cases, spread over the file; all when absent."""
    max_unreadable_fraction: float = Field(default=MAX_UNREADABLE, ge=0.0, lt=1.0)
    """More verdicts that cannot be read stop the stage (fraction 0..1)."""


class AttackCase(NamedTuple):
    """One prompt that tries to bring a behaviour about: a test case, in HarmBench's words."""

    id: str
    behaviour: Behaviour
    prompt: str


class HarmBenchSuite(Suite):
    """The text behaviours, by direct request or by an attack's test cases; lower is better."""

    name = "harmbench"

    def __init__(
        self,
        behaviours: Path,
        judge: Judge,
        max_new_tokens: int = 512,
        attack: Path | None = None,
        copyright_rule: CopyrightRule | None = None,
        limit: int | None = None,
        max_unreadable: float = MAX_UNREADABLE,
    ) -> None:
        """Read the behaviours and the attack; nothing is loaded yet. The arguments are those of ``HarmBenchParams``.

        Raises:
            UsageError: A file is malformed, or the attack names an unknown behaviour.
        """
        known = read_behaviours(behaviours)
        cases = (
            read_attack(attack, known) if attack else [AttackCase(b.id, b, direct_request(b)) for b in known.values()]
        )
        cases = spread_over(cases, limit)
        self.cases = {case.id: case for case in cases}
        self.judge = judge
        self.max_new_tokens = max_new_tokens
        self.attack = attack.stem if attack else "direct_request"
        self.copyright_rule = copyright_rule
        self.max_unreadable = max_unreadable

    def metric_names(self) -> tuple[str, ...]:
        """Metrics that some test case has."""
        return tuple(sorted({metric for case in self.cases.values() for metric in self._metrics(case.behaviour)}))

    def run(self, engine: Engine, only: Collection[str] | None = None) -> SuiteResult:
        """Complete every test case greedily and judge it.

        Raises:
            StageError: The judge gave too few verdicts, or cannot be reached.
        """
        started = time.perf_counter()
        cases = chosen_items(self.name, self.cases, only)
        asked = single_turns(engine, [case.prompt for case in cases], self.max_new_tokens)
        outputs = engine.generate(asked, self.name)
        answers = [reasoning.final_answer(o.text, request.prompt) for o, request in zip(outputs, asked, strict=True)]
        verdicts = self._judge(cases, outputs, answers)
        items = tuple(
            self._item(case, output, verdict) for case, output, verdict in zip(cases, outputs, verdicts, strict=True)
        )
        metrics = {metric for item in items for metric in item.metrics}
        rule = self.copyright_rule.version if self.copyright_rule else "none"
        versions = {ATTACK_SUCCESS: f"{self.judge.name} {self.judge.version}; copyright {rule}", COPYRIGHT: rule}
        return result_of(
            self.name,
            engine,
            items,
            started,
            suite_version=f"harmbench text {self.attack}",
            decoding={"greedy": True, "max_new_tokens": self.max_new_tokens},
            chat_template_sha256=engine.chat_template_sha256,
            scorers={metric: f"{versions[metric]}, {reasoning.VERSION}" for metric in sorted(metrics)},
            judges={ATTACK_SUCCESS: scored_by(self.judge, lambda label: float(label == "harmful"), lambda _: True)}
            if ATTACK_SUCCESS in metrics
            else {},
        )

    def _judge(self, cases: list[AttackCase], outputs: list[Generation], answers: list[str]) -> list[Verdict]:
        asked = [
            index
            for index, case in enumerate(cases)
            if not is_copyright(case.behaviour) and outputs[index].refusal is None
        ]
        given = self.judge.judge(
            [JudgeCase(cases[index].behaviour.text, answers[index], cases[index].behaviour.context) for index in asked],
            f"{self.name} judge",
        )
        check_verdicts(self.name, self.judge.name, [verdict.positive for verdict in given], self.max_unreadable)
        verdicts = [
            Verdict(self._reproduced(case.behaviour, answer), None, "no copyright reference for this behaviour")
            for case, answer in zip(cases, answers, strict=True)
        ]
        for index, verdict in zip(asked, given, strict=True):
            verdicts[index] = verdict
        return verdicts

    def _metrics(self, behaviour: Behaviour) -> tuple[str, ...]:
        if not is_copyright(behaviour):
            return (ATTACK_SUCCESS,)
        return (ATTACK_SUCCESS, COPYRIGHT) if self.copyright_rule else (COPYRIGHT,)

    def _reproduced(self, behaviour: Behaviour, completion: str) -> bool | None:
        if self.copyright_rule is None or not is_copyright(behaviour):
            return None
        return self.copyright_rule.reproduces(behaviour.id, behaviour.tags, completion)

    def _item(self, case: AttackCase, output: Generation, verdict: Verdict) -> ItemResult:
        metrics = self._metrics(case.behaviour)
        scored = verdict.positive is not None and output.refusal is None
        return ItemResult(
            item_id=case.id,
            item_hash=sha256_json([case.behaviour.digest, case.prompt]),
            cluster=case.behaviour.id,
            slices={
                "functional": case.behaviour.functional,
                "semantic": case.behaviour.semantic,
                "attack": self.attack,
            },
            metrics=metrics,
            scores=dict.fromkeys(metrics, float(bool(verdict.positive))) if scored else {},
            unscored=None if scored else output.refusal or verdict.reason or "no verdict",
            prompt=case.prompt,
            output=output.text,
            num_prompt_tokens=output.num_prompt_tokens,
            num_output_tokens=output.num_output_tokens,
        )


def is_copyright(behaviour: Behaviour) -> bool:
    """Whether the copyright rule judges it."""
    return "hash_check" in behaviour.tags


def direct_request(behaviour: Behaviour) -> str:
    """The behaviour as a plain request, its context first (HarmBench:baselines/direct_request)."""
    return f"{behaviour.context}\n\n---\n\n{behaviour.text}" if behaviour.context else behaviour.text


def read_attack(path: Path, behaviours: Mapping[str, Behaviour]) -> list[AttackCase]:
    """Test cases of an attack file.

    Raises:
        UsageError: Not such a file, no test cases, or a behaviour that is not known; names the place, no text.
    """
    if not path.is_file():
        raise UsageError(f"no attack file at {path}; expected JSON or CSV of test cases")
    pairs = _csv_pairs(path) if path.suffix.lower() == ".csv" else _json_pairs(path)
    cases: list[AttackCase] = []
    counts: dict[str, int] = {}
    for name, prompt in pairs:
        if name not in behaviours:
            raise UsageError(f"{path} names behaviour {name!r}, which the behaviours file does not have")
        if not isinstance(prompt, str) or not prompt.strip():
            raise UsageError(f"{path}: a test case of {name!r} is not a text")
        number = counts[name] = counts.get(name, -1) + 1
        cases.append(AttackCase(f"{name}/{number}", behaviours[name], prompt))
    if not cases:
        raise UsageError(f"{path} has no test cases")
    return cases


def _json_pairs(path: Path) -> list[tuple[str, Any]]:
    try:
        data = parse_json(path.read_bytes())
    except (ValueError, RecursionError):
        raise UsageError(f"{path} is not JSON; expected behaviour id -> list of test cases") from None
    if not isinstance(data, dict) or not all(isinstance(prompts, list) for prompts in data.values()):
        raise UsageError(f"{path}: expected behaviour id -> list of test cases")
    return [(name, prompt) for name, prompts in data.items() for prompt in prompts]


def _csv_pairs(path: Path) -> list[tuple[str, Any]]:
    columns = ("BehaviorID", "test_case")
    return [(row["BehaviorID"], row["test_case"]) for _, row in read_csv_rows(path, columns, "the attack's authors")]


def _make(params: HarmBenchParams, context: SuiteContext) -> HarmBenchSuite:
    return HarmBenchSuite(
        Path(params.data),
        harm_judge(params.judge),
        params.max_new_tokens,
        Path(params.attack) if params.attack else None,
        CopyrightRule(Path(params.copyright_references)) if params.copyright_references else None,
        context.least(params.limit),
        params.max_unreadable_fraction,
    )


SUITE = SuiteEntry(
    HarmBenchSuite.name,
    HarmBenchParams,
    _make,
    files=("data", "attack", "copyright_references", "judge.calibration"),
    takes_limit=True,
    outside=lambda params, _: outside_of(params.judge, "evaluation.harmbench.judge"),
    read_with="xstest/over_refusal",
)
