"""A project of a user's own, made and run by the installed wheel, in a folder whose packages have the names of ours."""

import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from evalsuite.gate.decision import Verdict, read_decision
from tests.e2e.installed import SAYS_SO, build_wheel, environment, install
from tests.e2e.project import NUM_TEST, write_golden

pytestmark = pytest.mark.e2e
HIDING = ("tasks", "flows", "evalsuite", "dvc", "prefect", "datasets")
RULES = [{"suite": "golden", "metric": "exact_match", "kind": "guard", "margin": 0.1}]


class Place(NamedTuple):
    """Where the package and the project lie."""

    commands: Path
    project: Path

    def run(self, *command: str, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=folder or self.project,
            env=environment(self.commands),
            text=True,
            capture_output=True,
            check=False,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Place:
    root = tmp_path_factory.mktemp("own")
    commands = install(build_wheel(root), root / "environment")
    write_golden(root / "golden", tiny_model)
    rows = [{"prompt": f"Where is order {n}?", "completion": f"It is here {n}."} for n in range(40)]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = Place(commands, root / "mine")
    given = ("--model", str(tiny_model), "--data", "rows.jsonl", "--golden", "golden")
    made = found.run("ratchet", "init", "mine", *given, folder=root)
    assert made.returncode == 0, made.stderr
    assert "data/raw/rows.jsonl: 40 prompt/completion rows that can be trained on" in made.stdout
    assert f"10 items in dev.jsonl and {NUM_TEST} items in test.jsonl; the rules judge by exact_match" in made.stdout
    for name in HIDING:
        (found.project / name).mkdir()
        (found.project / name / "__init__.py").write_text(SAYS_SO)
    return found


def small(project: Path) -> None:
    """The settings with which the tiny model trains in seconds, and keeps what it can do."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["methods"] = {"full": {"kind": "full", "learning_rate": 1e-7, "epochs": 1}}
    params["train"] |= {"batch_size": 8, "micro_batch_size": 8}
    params["prepare"]["max_length_tokens"] = 256
    params["evaluation"]["golden"]["max_new_tokens"] = 6
    params["contamination"]["max_fraction"] = 0.5
    params["gate"]["rules"] = RULES
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def commit(place: Place) -> None:
    for command in (("add", "--all"), ("-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "x")):
        done = place.run("git", *command)
        assert done.returncode == 0, done.stdout + done.stderr


def ran(output: str) -> set[str]:
    return set(re.findall(r"Running stage '(.+?)'", output))


def test_the_doctor_finds_the_installed_package_and_nothing_amiss(place: Place) -> None:
    commit(place)
    said = place.run("ratchet", "doctor").stdout
    assert "match ratchet-ft 0.1.0" in said
    for name in ("flows", "tasks", "evalsuite"):
        assert re.search(rf"✓ package {name}: {place.commands.parent}/lib", said)
    assert "✓ inputs: model, data, sets, metrics and rules fit together" in said
    assert "✓ dvc: 13 stages to run" in said


def test_a_run_ends_in_a_verdict_and_a_second_one_does_nothing(place: Place) -> None:
    small(place.project)
    first = place.run("ratchet", "run")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "PROMOTE" in first.stdout
    decision = read_decision(place.project / "reports/decision.json")
    assert decision.verdict is Verdict.PROMOTE
    assert decision.reasons[0].n == NUM_TEST
    second = place.run("ratchet", "run")
    assert "nothing to do" in second.stdout
    assert ran(place.run("dvc", "repro").stdout) == {"inputs"}


def test_the_ci_examples_pass_on_a_clone_that_has_the_registry_alone(place: Place, tmp_path: Path) -> None:
    commit(place)
    clone = tmp_path / "clone"
    place.run("git", "clone", "-q", str(place.project), str(clone))
    assert not (clone / "reports").exists()
    github = yaml.safe_load((clone / ".github/workflows/ratchet.yml").read_text())["jobs"]["gate"]["steps"][-1]["run"]
    gitlab = yaml.safe_load((clone / ".gitlab-ci.yml").read_text())["gate"]["script"][-1]
    for command in (github, gitlab):
        done = place.run("sh", "-c", command, folder=clone)
        assert (done.returncode, done.stderr) == (0, "")
        assert "every field is what the stored items give" in done.stdout


def test_an_upgrade_of_the_report_s_code_makes_the_report_anew_and_trains_and_evaluates_nothing(place: Place) -> None:
    (site,) = place.commands.parent.glob("lib/python*/site-packages")
    with (site / "evalsuite/report/sentences.py").open("a") as stream:
        stream.write("# a newer version\n")
    status = place.run("ratchet", "status").stdout
    assert re.search(r"^report +the installed Ratchet has other code for it", status, re.MULTILINE)
    assert "train@full" not in status
    done = place.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    # `baseline` pins the champion again, in a second, and so the verdict names the code that is there now.
    assert ran(done.stdout) == {"inputs", "baseline", "evaluate_baseline@champion", "gate", "report"}
