"""One training by every strategy, in two processes: the same loss, the same weights, and what ran is what was asked.

All strategies run in one launch over two network namespaces where the system lets an ordinary user make them, else over
two processes of one host. Tolerance: fp32 rounding of sums in another order, 1e-5 nats and 1e-6 a weight.
"""

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import tasks.stages.plan
from demo.tiny_model import make_tiny_model
from evalsuite.core.files import read_json
from tasks.config.params import load_params
from tasks.paths import ArtifactPaths
from tasks.stages.train import run
from tasks.training.parallel.launch import LaunchPlan, Node, agent_command
from tasks.training.state.log import TrainLog
from tests.tasks.stages import test_train

ROOT = Path(__file__).parents[4]
FULL = {"full": {"kind": "full", "learning_rate": 1e-3, "epochs": 1}}
LORA = {"lora": {"kind": "lora", "learning_rate": 1e-3, "epochs": 1, "rank": 4}}
WHOLE = {
    "dora": LORA["lora"] | {"use_dora": True},
    "pissa": LORA["lora"] | {"init_lora_weights": "pissa"},
}
PROJECTS: dict[str, tuple[str, dict[str, Any], bool]] = {
    # name: (strategy, methods, whether input and output embedding are one tensor)
    "data-parallel": ("data parallel", FULL | WHOLE, True),
    "fsdp2": ("fsdp2", FULL | LORA, True),
    "fsdp2-untied": ("fsdp2", FULL, False),
    "zero1": ("zero1", FULL, True),
    "zero2": ("zero2", FULL, True),
    "zero3": ("zero3", FULL | LORA, True),
    "zero3-offload": ("zero3 offload", FULL, True),
    "silent-fsdp2": ("fsdp2", LORA, True),
    "silent-zero2": ("zero2", LORA, True),
    "silent-zero3": ("zero3", LORA, True),
}
RUNS = [(name, method) for name, (_, methods, _) in PROJECTS.items() for method in methods if "silent" not in name]
USER_NAMESPACE = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


class Trained(NamedTuple):
    """What the module's one launch left."""

    folder: Path
    one: Path
    """Where one process trained."""
    logs: dict[tuple[str, str], TrainLog]
    """(project, method) -> log; one process is ``one`` and ``one-untied``."""
    two_hosts: str | None
    """Why it ran on one host, if so."""


def make_project(
    root: Path, model: Path, methods: dict[str, Any], strategy: str, num_processes: int, nodes: int
) -> ArtifactPaths:
    """Fourteen rows in steps of four: the last step is half full, for two processes of two rows each."""
    paths = test_train.make_project(root, model, methods)
    data = yaml.safe_load(paths.params.read_text())
    data["launch"] = {"strategy": strategy, "processes_per_node": num_processes // nodes, "nodes": nodes}
    data["methods"] = methods
    paths.params.write_text(yaml.safe_dump(data))
    rows = (paths.prepared / "train.jsonl").read_text().splitlines(keepends=True)
    (paths.prepared / "train.jsonl").write_text("".join(rows[:14]))
    for name in methods:
        tasks.stages.plan.run(name, load_params(paths.params), paths)
    return paths


def no_namespaces() -> str | None:
    """Why two hosts cannot be made here."""
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        return "no `ip` or `unshare` here (packages iproute2 and util-linux)"
    made = subprocess.run(
        [*USER_NAMESPACE, "sh", "-c", "unshare --net true && ip link add cable0 type veth peer name cable1"],
        capture_output=True,
        text=True,
    )
    return None if made.returncode == 0 else f"network namespaces are not allowed here: {made.stderr.strip()}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Trained:
    folder, one = tmp_path_factory.mktemp("strategies"), tmp_path_factory.mktemp("one")
    models = {True: tiny_model, False: make_tiny_model(one / "model", tied=False)}
    reason = no_namespaces()
    nodes = 1 if reason else 2
    projects = {
        name: make_project(folder / name, models[tied], methods, strategy, 2, nodes)
        for name, (strategy, methods, tied) in PROJECTS.items()
    }
    plan = LaunchPlan(num_processes=2, num_nodes=nodes, device="cpu", numerics="fp32", trained_parameters=1)
    commands = [
        # The stage's own command, with the module that trains them all.
        [
            *agent_command("x", plan, Node(rank, "10.77.0.1:29400", f"10.77.0.{rank + 1}"), 30)[:-2],
            "tests.tasks.training.strategy_worker",
            str(folder),
        ]
        for rank in range(nodes)
    ]
    command = commands[0]
    if nodes == 2:
        script = Path(__file__).with_name("two_hosts.sh")
        command = [*USER_NAMESPACE, "sh", str(script), *(shlex.join(line) for line in commands)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]
    for name, tied in (("one", True), ("one-untied", False)):
        projects[name] = make_project(one / name, models[tied], FULL | LORA | WHOLE if tied else FULL, "auto", 1, 1)
    logs = {
        (name, method): run(method, load_params(paths.params), paths)
        for name, paths in projects.items()
        for method in load_params(paths.params).methods
        if not name.startswith("silent")
    }
    return Trained(folder, one, logs, reason)


def reference(trained: Trained, name: str, method: str) -> TrainLog:
    return trained.logs["one-untied" if name.endswith("untied") else "one", method]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), RUNS)
def test_two_processes_give_the_loss_curve_of_one(trained: Trained, name: str, method: str) -> None:
    log, one = trained.logs[name, method], reference(trained, name, method)
    assert [step.step for step in log.steps] == [1, 2, 3, 4]
    assert [step.loss for step in log.steps] == pytest.approx([step.loss for step in one.steps], abs=1e-5)
    assert [step.grad_norm for step in log.steps] == pytest.approx([step.grad_norm for step in one.steps], rel=1e-4)
    assert log.epochs[0].eval_loss == pytest.approx(one.epochs[0].eval_loss, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), RUNS)
def test_two_processes_export_the_weights_of_one_and_plain_transformers_loads_them(
    trained: Trained, name: str, method: str
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    other = trained.one / ("one-untied" if name.endswith("untied") else "one")
    ours: Any = AutoModelForCausalLM.from_pretrained(trained.folder / name / "models" / method / "export")
    theirs: Any = AutoModelForCausalLM.from_pretrained(other / "models" / method / "export")
    ours, theirs = ours.state_dict(), theirs.state_dict()
    assert ours.keys() == theirs.keys()
    for key, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[key], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_training_stopped_after_its_first_step_had_saved_it(trained: Trained) -> None:
    for name, method in RUNS:
        if method == "full":
            error = read_json(trained.folder / name / "full-Asked-1.json", "x")["error"]
            assert error.startswith("PreemptedError: full: SIGTERM at step 1 of 4; ")
            assert trained.logs[name, method].resumed_from_steps == (1,)


@pytest.mark.slow
def test_one_process_that_offloads_trains_by_deepspeed_as_one_that_does_not(
    trained: Trained, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    paths = make_project(tmp_path / "alone", tiny_model, FULL, "zero3 offload optimizer", 1, 1)
    log, one = run("full", load_params(paths.params), paths), trained.logs["one", "full"]
    assert log.effective["strategy"] == "zero3 offload optimizer"
    assert log.effective["distributed_type"] == "DEEPSPEED"
    assert [step.loss for step in log.steps] == pytest.approx([step.loss for step in one.steps], abs=1e-5)


@pytest.mark.slow
def test_the_train_log_says_what_each_process_kept(trained: Trained) -> None:
    whole = trained.logs["one", "full"].trainable_parameters
    kept = {
        name: [
            sum(map(int, str(trained.logs[name, "full"].effective[key]).split(", ")))
            for key in ("parameters_per_rank", "optimizer_parameters_per_rank")
        ]
        for name in ("data-parallel", "fsdp2", "zero2", "zero3")
    }
    assert kept == {
        "data-parallel": [2 * whole, 2 * whole],
        "fsdp2": [whole, whole],
        "zero2": [2 * whole, whole],
        "zero3": [whole, whole],
    }
    for name, method in RUNS:
        log = trained.logs[name, method]
        assert log.effective["strategy"] == PROJECTS[name][0]
        assert log.effective["num_processes"] == 2
        assert log.trainable_parameters == reference(trained, name, method).trainable_parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("silent-zero2", "distributed_type is 'MULTI_CPU', the plan says 'DEEPSPEED'"),
        ("silent-zero3", "distributed_type is 'MULTI_CPU', the plan says 'DEEPSPEED'"),
        ("silent-fsdp2", "strategy is 'data parallel', the plan says 'fsdp2'"),
    ],
)
def test_a_silent_fall_back_to_data_parallelism_stops_before_the_first_step(
    trained: Trained, name: str, text: str
) -> None:
    for rank in (0, 1):
        assert text in read_json(trained.folder / name / f"lora-StopRequest-{rank}.json", "x")["error"]
    assert not list((trained.folder / name / "checkpoints" / "lora").glob("checkpoint-*"))


@pytest.mark.slow
def test_two_hosts_train_one_model_together(trained: Trained) -> None:
    if trained.two_hosts is not None:
        pytest.skip(trained.two_hosts)
    networks = {json.loads(path.read_text())["network"] for path in trained.folder.glob("host-*.json")}
    assert len(networks) == 2
