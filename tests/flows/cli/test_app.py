"""The command's surface, its exit codes and its errors."""

import importlib.metadata
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from flows.cli.app import app, main

ROOT = Path(__file__).parents[3]
SURFACE = {
    "run": {"--dry-run", "--no-promote", "--any-verdict", "--verbose"},
    "stage": {"name", "--force"},
    "evaluate": {"model", "--suite", "--limit", "--output", "--adapter", "--shard", "--shards"},
    "plan": {
        "--model",
        "--method",
        "--gpus",
        "--nodes",
        "--optimizer",
        "--numerics",
        "--strategy",
        "--sequence",
        "--micro-batch",
        "--batch-size",
        "--rank",
        "--dora",
        "--checkpointing",
        "--tokens",
        "--epochs",
        "--rows",
        "--price",
        "--probe",
        "--write",
        "--json",
    },
    "init": {"folder", "--model", "--data", "--golden", "--no-git", "--upgrade"},
    "launch": {"method", "--dry-run", "--node-rank", "--rendezvous"},
    "status": set(),
    "promote": {"--override", "--reason", "--dry-run"},
    "rollback": {"--reason", "--to"},
    "history": {"--json", "--digest", "--since"},
    "serve": {"--dry-run"},
    "doctor": set(),
    "help": {"page"},
    "gate check": set(),
    "gate compare": {"--baseline", "--candidate", "--policy", "--suite", "--noise", "--json"},
    "gate noise": {"--a", "--b", "--json"},
    "gate power": {"--policy", "--json", "--sequential", "--discordance"},
    "gate replay": {"decision", "--json", "--verdict"},
    "gate simulate": {
        "--answers",
        "--margin",
        "--alpha",
        "--max-items",
        "--pairs",
        "--repetitions",
        "--seed",
        "--json",
    },
    "data open": {"--print"},
    "data show": {"row", "--json"},
    "data diff": {"after", "before", "--json", "--rows"},
    "data forget": {"row", "--alike", "--by", "--dry-run", "--json", "--match", "--most", "--reason"},
    "data forgotten": {"--json"},
    "data synthesize": {
        "--api-key-variable",
        "--base-url",
        "--concurrency",
        "--dry-run",
        "--from",
        "--kind",
        "--max-share",
        "--max-tokens",
        "--model",
        "--replace",
        "--rows",
        "--seed",
        "--send-rows",
        "--temperature",
        "--to",
    },
    "import-rows": {"url", "--replace"},
    "inbox sort": {"records", "--force", "--golden-share", "--label-studio", "--review", "--seed"},
    "inbox take": {"review", "--dry-run", "--metric"},
    "golden new": {"folder"},
    "golden check": {"folder", "--new-version", "--json"},
    "golden stats": {"folder", "--json"},
    "judge check": {"--labels", "--judge", "--behaviours", "--base-url", "--model", "--revision", "--save", "--json"},
    "report": {"--markdown", "--json", "--schema", "--out"},
    "report items": set(),
    "report open": {"--print"},
}


def ratchet(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        text=True,
        capture_output=True,
        check=False,
    )


def surface() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        children = getattr(command, "commands", None)
        below = [(f"{name} {child}", c) for child, c in children.items()] if children else []
        for path, entry in [*below, *([(name, command)] if not children or command.invoke_without_command else [])]:
            found[path] = {(p.opts[0] if p.opts[0].startswith("-") else p.name) for p in entry.params}
    return found


def test_no_command_or_option_appears_or_vanishes_unnoticed() -> None:
    assert surface() == SURFACE


def test_the_version_is_that_of_the_installed_package(tmp_path: Path) -> None:
    assert ratchet(tmp_path, "--version").stdout == f"ratchet {importlib.metadata.version('ratchet-ft')}\n"


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, flows.cli.app; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["torch", "transformers", "prefect", "dvc", "pandas", "numpy", "lm_eval", "trl", "datasets"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_outside_a_project_one_line_says_where_to_go(tmp_path: Path) -> None:
    done = ratchet(tmp_path, "status")
    assert done.returncode == 2
    assert "run ratchet inside the project's folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("run --fast", "no such option: --fast; `ratchet run --help` has the options"),
        ("rollback", "missing option '--reason'; `ratchet rollback --help` has the options"),
        ("gate compare --baseline a", "missing option '--candidate'; `ratchet gate compare --help` has the options"),
        ("stage", "missing argument 'name'; `ratchet stage --help` has the options"),
        ("stage a b", "got unexpected extra argument(s) (b); `ratchet stage --help` has the options"),
        ("stge", "no such command 'stge'. Did you mean 'stage'?; `ratchet --help` has the options"),
        ("gate simulate --answers x --margin 3", "invalid value for '--margin'"),
        ("--traceback", "missing command; `ratchet --help` has the options"),
    ],
)
def test_a_wrong_command_line_is_one_plain_line(tmp_path: Path, command: str, message: str) -> None:
    done = ratchet(tmp_path, *command.split())
    assert done.returncode == 2
    assert done.stderr.lower().startswith(f"error: {message}".lower())
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_database_that_the_disk_fails_is_told_with_what_to_do_about_the_disk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(**_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.delenv("RATCHET_TRACEBACK", raising=False)
    monkeypatch.setattr("flows.cli.app.app", failing)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 4
    assert "disk I/O error; a database on this disk cannot be used: free disk space" in capsys.readouterr().err


def test_a_group_without_a_command_prints_its_help(tmp_path: Path) -> None:
    done = ratchet(tmp_path, "gate")
    assert "compare" in done.stdout
    assert done.stderr == ""


def write_scores(path: Path, scores: list[str]) -> Path:
    path.write_text("item_id,exact_match\n" + "".join(f"i{n},{score}\n" for n, score in enumerate(scores)))
    return path


POLICY = "rules: [{suite: golden, metric: exact_match, kind: guard, margin: 0.1}]\n"


@pytest.mark.parametrize(
    ("scores", "code", "verdict"),
    [
        pytest.param(["1"] * 80, 0, "PROMOTE", id="the-same"),
        pytest.param(["0"] * 80, 1, "REJECT", id="all-lost"),
        pytest.param(["1"] * 60 + ["0"] * 20, 1, "REJECT", id="a-quarter-lost"),
        pytest.param(["1"] * 73 + ["0"] * 7, 3, "INCONCLUSIVE", id="near-the-margin"),
        pytest.param([""] * 80, 3, "INCONCLUSIVE", id="nothing-scored"),
    ],
)
def test_comparing_two_files_exits_with_the_verdict(tmp_path: Path, scores: list[str], code: int, verdict: str) -> None:
    baseline = write_scores(tmp_path / "a.csv", ["1"] * 80)
    candidate = write_scores(tmp_path / "b.csv", scores)
    (tmp_path / "p.yaml").write_text(POLICY)
    done = ratchet(
        tmp_path, "gate", "compare", "--baseline", str(baseline), "--candidate", str(candidate), "--policy", "p.yaml",
        "--json", "d.json",
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert done.stdout.strip().startswith(verdict)
    assert json.loads((tmp_path / "d.json").read_text())["verdict"] == verdict


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        pytest.param(None, "b.csv", id="absent"),
        pytest.param("", "b.csv", id="empty"),
        pytest.param("item_id,exact_match\ni0,1\ni0,1\n", "i0", id="duplicate"),
        pytest.param("item_id,exact_match\ni0,good\n", "good", id="text"),
        pytest.param("name,exact_match\ni0,1\n", "item_id", id="no-id"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, candidate: str | None, message: str) -> None:
    baseline = write_scores(tmp_path / "a.csv", ["1"])
    if candidate is not None:
        (tmp_path / "b.csv").write_text(candidate)
    (tmp_path / "p.yaml").write_text(POLICY)
    done = ratchet(
        tmp_path, "gate", "compare", "--baseline", str(baseline), "--candidate", "b.csv", "--policy", "p.yaml"
    )
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_public_lm_eval_samples_can_be_compared(tmp_path: Path) -> None:
    folder = ROOT.parent / "shared/data/lmeval_samples"
    if not folder.is_dir():
        pytest.skip("the public data folder is not there")
    samples = next(folder.glob("*samples_*.jsonl"))
    metric = json.loads(samples.read_text().splitlines()[0])["metrics"][0]
    (tmp_path / "p.yaml").write_text(f"rules: [{{suite: math, metric: {metric}, kind: guard, margin: 0.5}}]\n")
    done = ratchet(
        tmp_path, "gate", "compare", "--baseline", str(samples), "--candidate", str(samples), "--policy", "p.yaml"
    )
    assert done.returncode in (0, 3), done.stderr
    assert metric in done.stdout


def test_a_reader_that_leaves_changes_no_verdict(tmp_path: Path) -> None:
    write_scores(tmp_path / "a.csv", ["1"] * 80)
    (tmp_path / "p.yaml").write_text(POLICY)
    command = [sys.executable, "-m", "flows.cli", "gate", "compare", "--baseline", "a.csv", "--candidate", "a.csv"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    with subprocess.Popen(
        [*command, "--policy", "p.yaml"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (0, b"")


@pytest.mark.parametrize(
    "locale",
    [
        {"PYTHONIOENCODING": "ascii", "LC_ALL": "POSIX"},
        {"PYTHONUTF8": "0", "LC_ALL": "C"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=str,
)
def test_a_terminal_without_our_signs_still_tells_proven_from_failed_and_undecided(
    tmp_path: Path, locale: dict[str, str]
) -> None:
    write_scores(tmp_path / "a.csv", ["1"] * 80)
    write_scores(tmp_path / "b.csv", ["1"] * 72 + ["0"] * 8)
    rules = {"ok": 0.5, "FAIL": 0.0001, "?": 0.1}
    named = [f"{{suite: b\u00fc, metric: exact_match, kind: guard, margin: {margin}}}" for margin in rules.values()]
    command = [sys.executable, "-m", "flows.cli", "gate", "compare", "--baseline", "a.csv", "--candidate", "b.csv"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **locale}
    for mark, rule in zip(rules, named, strict=True):
        (tmp_path / "p.yaml").write_text(f"rules: [{rule}]\n", encoding="utf-8")
        done = subprocess.run(
            [*command, "--policy", "p.yaml", "--suite", "b\u00fc"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert done.returncode in (0, 1, 3), done.stderr
        name = "b\u00fc" if "latin-1" in locale.values() else "b\\xfc"
        assert f"  1. {mark} {name}/exact_match" in done.stdout.decode("latin-1")


def test_control_characters_of_a_result_cannot_repaint_the_verdict(tmp_path: Path) -> None:
    rows = "".join(f"i{n},1,\x1b[2Jx\n" for n in range(80))
    (tmp_path / "a.csv").write_text("item_id,exact_match,slice_topic\n" + rows)
    (tmp_path / "p.yaml").write_text(POLICY.replace("margin: 0.1", "margin: 0.1, slices: topic"))
    done = ratchet(tmp_path, "gate", "compare", "--baseline", "a.csv", "--candidate", "a.csv", "--policy", "p.yaml")
    assert "\x1b[2J" not in done.stdout
    assert "U+001B" in done.stdout
