"""An objective of another package: at most 30 lines, and nothing to change in Ratchet."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tasks.stages.plan
import tasks.stages.prepare
import tasks.stages.train
from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import read_json, read_model
from tasks.config.params import Params, load_params, parse_params
from tasks.objectives.documents import IGNORED
from tasks.paths import ArtifactPaths
from tasks.preflight.outside_inputs import look
from tasks.training.job import Job
from tasks.training.parallel.launch import LaunchPlan
from tasks.training.rows.examples import read_examples
from tasks.training.rows.inputs import read_inputs
from tests.tasks.stages.test_train import make_project

CODE = '''"""The last sentence of an answer is learnt, or the whole answer where its row says so, at twice the loss."""

from tasks.objectives.sft import Sft


class LastSentence(Sft):
    name = "last_sentence"
    fields = ("whole",)

    def tokenize(self, rows, tokenizer, end_ids, answers):
        whole = {row["id"] for row in rows if row.get("whole")}

        def begin(ids, first, end):
            full_stops = [at for at in range(first, end - 2) if tokenizer.decode(ids[at]).endswith(".")]
            return full_stops[-1] + 1 if full_stops else first

        return [
            row if row.name in whole else row._replace(spans=tuple((begin(row.input_ids, *s), s[1]) for s in row.spans))
            for row in super().tokenize(rows, tokenizer, end_ids, answers)
        ]

    def trainer(self, base):
        class Twice(base):
            def compute_loss(self, *arguments, **named):
                return 2 * super().compute_loss(*arguments, **named)

        return Twice
'''
ENTRY_POINTS = """[ratchet.objectives]
last_sentence = their_objective:LastSentence
absent = nowhere:Objective
other = their_objective:Sft
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The module of a package that lies there as pip leaves it."""
    folder = tmp_path / "site"
    about = folder / "their_objective-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-objective\nVersion: 1\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "their_objective.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(folder))
    yield folder / "their_objective.py"
    sys.modules.pop("their_objective", None)


@pytest.fixture
def paths(package: Path, tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    """Ten rows of two sentences; the even ones are learnt whole."""
    paths = make_project(
        tmp_path / "project",
        tiny_model,
        {"full": {"kind": "full", "learning_rate": 1e-3, "epochs": 1, "numerics": "fp32"}},
    )
    rows = [
        {
            "prompt": f"Where is my parcel {n}?",
            "completion": f"I am sorry. Parcel {n} is broken.",
            "whole": n % 2 == 0,
        }
        for n in range(10)
    ]
    raw = paths.root / "data/raw/rows.jsonl"
    raw.parent.mkdir(parents=True)
    raw.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (paths.root / "golden_sets").mkdir()
    data = yaml.safe_load(paths.params.read_text())
    data["prepare"] = {"sources": ["data/raw/rows.jsonl"], "objective": "last_sentence", "dev_fraction": 0.2}
    data["train"] |= {"batch_size": 16, "micro_batch_size": 2, "packing": False}  # one step
    paths.params.write_text(yaml.safe_dump(data))
    return paths


def prepared(paths: ArtifactPaths) -> Params:
    params = load_params(paths.params)
    tasks.stages.prepare.stage(tasks.stages.prepare.Sections.model_validate(params.model_dump()), paths)
    tasks.stages.plan.run("full", params, paths)
    return params


def mean_loss(model: Any, ids: list[list[int]], labels: list[list[int]]) -> float:
    """Nats a token, by torch alone."""
    import torch

    with torch.inference_mode():
        logits = [model(input_ids=torch.tensor([row])).logits[0] for row in ids]
    wanted = torch.tensor([label for row in labels for label in row])
    return float(torch.nn.functional.cross_entropy(torch.cat(logits), wanted, ignore_index=-100))


def test_the_code_of_an_objective_is_short() -> None:
    assert len(CODE.splitlines()) <= 30


def test_other_tokens_are_learnt_by_another_loss(paths: ArtifactPaths) -> None:
    from transformers import AutoModelForCausalLM

    params = prepared(paths)
    rows = [json.loads(line) for line in (paths.prepared / "train.jsonl").read_text().splitlines()]
    assert {row["whole"] for row in rows} == {True, False}
    assert read_json(paths.prepared / "report.json", "x")["objective"] == "last_sentence"
    plan = read_model(paths.plans / "full.launch.json", LaunchPlan, "x")
    inputs = read_inputs(Job("full", params, plan, paths))
    for row, example in zip(rows, inputs.train, strict=True):
        sentences = row["messages"][-1]["content"].split(". ")
        wanted = ". ".join(sentences) if row["whole"] else f" {sentences[-1]}"
        learnt = [label for label in example.labels if label != IGNORED]
        assert inputs.tokenizer.decode(learnt) == f"{wanted}<|im_end|>"
    log = tasks.stages.train.run("full", params, paths)
    model = AutoModelForCausalLM.from_pretrained(paths.export("base"))
    shifted = [[*example.labels[1:], IGNORED] for example in inputs.train]
    loss = mean_loss(model, [example.input_ids for example in inputs.train], shifted)
    assert log.steps[0].loss == pytest.approx(2 * loss, rel=1e-4)
    supervised = read_examples(paths.prepared / "train.jsonl", inputs.tokenizer, 1024)
    same = [other.labels == example.labels for other, example in zip(supervised, inputs.train, strict=True)]
    assert same == [row["whole"] for row in rows]


def test_its_code_is_an_input_of_the_stages_that_run_it(paths: ArtifactPaths, package: Path) -> None:
    params = load_params(paths.params)
    before = look(params, paths).files
    assert [stage for stage, found in before.items() if "code of prepare.objective.last_sentence" in found] == [
        "prepare", "plan", "train",
    ]  # fmt: skip
    package.write_text(CODE + "\n")
    assert look(params, paths).files["train"] != before["train"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("full_stops[-1] + 1 if", 'int("no\\nnumber") if', id="two-lines"),
        pytest.param("return 2 *", "return 1 / 0 *", id="loss"),
        pytest.param('{row["id"] for', '{row["missing"] for', id="field"),
    ],
)
def test_what_it_raises_is_one_line_that_names_it(paths: ArtifactPaths, package: Path, old: str, new: str) -> None:
    package.write_text(CODE.replace(old, new))
    with pytest.raises(StageError) as caught:
        tasks.stages.train.run("full", prepared(paths), paths)
    assert str(caught.value).startswith("objective 'last_sentence' (their_objective:LastSentence) failed: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "last-sentence",
            r"prepare\.objective = 'last-sentence': no objective 'last-sentence'; did you mean 'last_sent",
        ),
        ("absent", r"objective 'absent' \(nowhere:Objective\) could not be made: ModuleNotFoundError: No module"),
        ("other", r"entry point 'other' \(their_objective:Sft\) makes no .*Objective of this name"),
    ],
)
def test_an_objective_that_is_not_there_or_is_none_is_refused(paths: ArtifactPaths, name: str, text: str) -> None:
    data = yaml.safe_load(paths.params.read_text())
    data["prepare"]["objective"] = name
    with pytest.raises(UsageError, match=text):
        tasks.stages.prepare.stage(tasks.stages.prepare.Sections.model_validate(parse_params(data).model_dump()), paths)
