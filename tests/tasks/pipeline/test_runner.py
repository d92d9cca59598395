"""One stage through real DVC in a real repository."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from evalsuite.core.errors import BusyError, ExitCode, MissingArtifactError, PreemptedError, StageError, UsageError
from tasks.dvc_command import dvc_command, stage_environment
from tasks.pipeline.runner import pending_stages, run_stage, stage_names
from tests.waiting import wait_until

DVC_YAML = """
stages:
  first: {cmd: python first.py, deps: [first.py], params: [a], outs: [one]}
  each:
    foreach: ${m}
    do: {cmd: "python each.py ${key}", deps: [one], params: ["m.${key}"], outs: ["each-${key}"]}
  last: {cmd: python last.py, deps: [each-p, each-q], outs: [done]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    run = dvc_command("init", "-q")
    subprocess.run(run, cwd=tmp_path, check=True)
    subprocess.run(dvc_command("config", "core.analytics", "false"), cwd=tmp_path, check=True)
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text("a: 1\nm: {p: {v: 1}, q: {v: 1}}\n")
    (tmp_path / "first.py").write_text("open('one', 'w').write('1')\nprint('made one')\n")
    (tmp_path / "each.py").write_text("import sys\nopen(f'each-{sys.argv[1]}', 'w').write('1')\n")
    (tmp_path / "last.py").write_text("open('done', 'w').write('1')\n")
    return tmp_path


def test_a_stage_runs_once_and_is_skipped_after(project: Path) -> None:
    lines: list[str] = []
    assert run_stage("first", project, on_line=lines.append).skipped is False
    assert "made one" in lines
    assert run_stage("first", project).skipped is True


def test_templates_are_expanded_in_an_order_that_can_run(project: Path) -> None:
    names = stage_names(project)
    assert sorted(names) == ["each@p", "each@q", "first", "last"]
    assert names.index("first") < names.index("each@p") < names.index("last")


def test_one_parameter_makes_only_its_readers_run(project: Path) -> None:
    subprocess.run(dvc_command("repro", "-q"), cwd=project, check=True, env=stage_environment())
    assert pending_stages(project) == []
    (project / "params.yaml").write_text("a: 1\nm: {p: {v: 1}, q: {v: 2}}\n")
    pending = pending_stages(project)
    assert [item.name for item in pending] == ["each@q", "last"]
    assert "m.q" in pending[0].reason
    assert pending[1].reason == "if each@q changes its output"


def test_a_stage_that_never_ran_was_not_made_yet_and_is_not_called_changed(project: Path) -> None:
    assert {item.reason for item in pending_stages(project)} == {"was not made yet"}


def test_no_other_stages_run_than_those_that_are_pending(project: Path) -> None:
    repro = dvc_command("repro")
    subprocess.run(repro, cwd=project, check=True, env=stage_environment())
    (project / "params.yaml").write_text("a: 2\nm: {p: {v: 1}, q: {v: 2}}\n")
    pending = {item.name for item in pending_stages(project)}
    done = subprocess.run(repro, cwd=project, check=True, env=stage_environment(), text=True, capture_output=True)
    ran = {line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")}
    assert ran == {"first", "each@q"}
    assert ran <= pending == {"first", "each@p", "each@q", "last"}


def test_a_stage_that_refuses_its_input_is_a_usage_error_with_its_own_words(project: Path) -> None:
    (project / "first.py").write_text("import sys\nprint('error: bad row', file=sys.stderr)\nsys.exit(2)\n")
    with pytest.raises(UsageError, match="stage first: bad row"):
        run_stage("first", project)


def test_a_stage_that_reads_what_no_stage_has_made_yet_names_the_one_that_makes_it(project: Path) -> None:
    with pytest.raises(
        MissingArtifactError, match="last reads each-p, which does not exist; make it with `ratchet stage each@p`"
    ):
        run_stage("last", project)
    (project / "first.py").unlink()
    with pytest.raises(MissingArtifactError, match=r"stage first reads first\.py, which does not exist; "):
        run_stage("first", project)


def test_an_error_is_raised_whole_and_not_shown_before(project: Path) -> None:
    (project / "first.py").write_text(
        "import sys\nprint('reading')\nprint('error: 2 bad rows\\na:1: x\\na:2: y')\nsys.exit(2)\n"
    )
    lines: list[str] = []
    with pytest.raises(UsageError) as caught:
        run_stage("first", project, on_line=lines.append)
    assert str(caught.value) == "stage first: 2 bad rows\na:1: x\na:2: y"
    assert "reading" in lines
    assert not [line for line in lines if "bad rows" in line or "rror" in line or line.startswith("a:")]


def test_a_stage_that_the_system_killed_says_by_what(project: Path) -> None:
    (project / "first.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.raises(StageError, match="stage first: killed by SIGKILL; most often for lack of memory"):
        run_stage("first", project)


def test_a_stage_that_breaks_is_a_stage_error(project: Path) -> None:
    (project / "first.py").write_text("raise RuntimeError('gone')\n")
    with pytest.raises(StageError, match="stage first: RuntimeError: gone"):
        run_stage("first", project)


def test_a_stage_that_was_killed_leaves_what_it_made_before(project: Path) -> None:
    run_stage("first", project)
    (project / "first.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.raises(StageError, match="stage first"):
        run_stage("first", project)
    assert (project / "one").read_text() == "1"


def test_an_unknown_stage_names_the_known_ones(project: Path) -> None:
    with pytest.raises(UsageError, match=r"no stage 'frist'; stages: first, each@p"):
        run_stage("frist", project)


def test_a_late_stage_is_stopped_with_everything_it_started(project: Path) -> None:
    (project / "first.py").write_text(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(f'child {child.pid}')\n"
        "child.wait()\n"
    )
    lines: list[str] = []
    seconds = 4
    while not any(line.startswith("child ") for line in lines):  # a busy machine may not even start it in the time
        seconds *= 2
        with pytest.raises(StageError, match=f"did not finish within {seconds} s"):
            run_stage("first", project, timeout_seconds=seconds, on_line=lines.append)
    assert not any(json.loads((project / ".dvc/tmp/rwlock").read_text()).values()), "DVC still holds a lock"
    child = next(int(line.split()[1]) for line in lines if line.startswith("child "))
    wait_until(lambda: _gone(child), lambda: "an orphan survived")


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_folder_without_dvc_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be opened by DVC"):
        stage_names(tmp_path)


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "dvc.lock"])
def test_the_file_that_dvc_cannot_read_is_named_and_no_edit_is_thrown_away(project: Path, name: str) -> None:
    (project / name).write_text("stages: {a: b:c}")
    with pytest.raises(UsageError) as caught:
        pending_stages(project)
    differs = "" if name == "params.yaml" else f"; `git diff {name}` shows what differs from the last commit"
    told = rf"{name}:1:14: not YAML: .*quote the value: a: \"b:c\"{differs}$"
    assert caught.match(told)
    assert "checkout" not in str(caught.value)


def test_a_pipeline_that_is_no_pipeline_is_named_with_dvcs_words(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages: {first: {deps: [first.py]}}")
    with pytest.raises(UsageError, match=r"^dvc\.yaml cannot be used: .*; `git diff dvc\.yaml` shows what differs"):
        pending_stages(project)


def test_a_parameter_that_dvc_misses_is_wrong_configuration_and_no_broken_stage(project: Path) -> None:
    (project / "params.yaml").write_text("m: {p: {v: 1}, q: {v: 1}}\n")
    with pytest.raises(UsageError, match=r"^stage first: params\.yaml lacks a section .*\na: \{\}$"):
        run_stage("first", project)


def test_a_stage_whose_files_another_dvc_command_holds_names_it(project: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        try:
            held = {"write": {str(project / "one"): {"pid": other.pid, "cmd": "dvc repro"}}, "read": {}}
            (project / ".dvc/tmp/rwlock").write_text(json.dumps(held))
            with pytest.raises(BusyError, match=rf"`dvc repro` \(pid {other.pid} on") as caught:
                run_stage("first", project)
            assert "remove" not in str(caught.value)
            reasons = {item.name: item.reason for item in pending_stages(project)}
            assert reasons["first"].startswith(f"`dvc repro` (pid {other.pid} on")
            assert reasons["first"].endswith("works on it")
        finally:
            other.kill()


def test_python_in_a_stage_is_this_interpreter() -> None:
    done = subprocess.run(
        ["python", "-c", "import sys; print(sys.prefix)"],
        env=stage_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == sys.prefix


def test_a_stage_that_was_pre_empted_after_saving_keeps_its_exit_code(project: Path) -> None:
    (project / "first.py").write_text("print('error: SIGTERM at step 7; it is saved')\nraise SystemExit(75)\n")
    with pytest.raises(PreemptedError, match=r"^stage first: SIGTERM at step 7; it is saved$") as caught:
        run_stage("first", project)
    assert caught.value.exit_code is ExitCode.PREEMPTED
