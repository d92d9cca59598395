"""What the README and the pages of docs/ say to type is right, and the pages that the code writes are up to date."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.exceptions import TyperException

from docs_reference import pages
from evalsuite.core.errors import ExitCode, UsageError
from evalsuite.core.yaml_file import dump_yaml, parse_yaml, read_yaml
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate_tools.designs import PairedRates, items_for
from flows.cli.app import app
from flows.deploy import next_runs
from tasks.config.params import Params, load_params, parse_params
from tasks.paths import ArtifactPaths
from tasks.preflight.checks import problems

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if path.resolve().is_relative_to(DOCS))]
COMMANDS: Any = typer.main.get_command(app)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(kind: str) -> Iterator[tuple[str, str]]:
    """Every fenced block of a kind, with its page."""
    for page in PAGES:
        yield from ((page.name, text) for found, text in BLOCK.findall(text_of(page)) if found == kind)


def typed() -> Iterator[tuple[str, list[str], bool]]:
    """Every ``ratchet`` command of the pages, and whether it stands in a block, where it must be whole."""
    for page in PAGES:
        text = text_of(page)
        for kind, block in BLOCK.findall(text):
            if kind in ("", "console"):
                for line in re.sub(r"#.*", "", block).splitlines():
                    for part in re.split(r"&&|;|\|", line.removeprefix("$ ")):
                        if part.strip().startswith("ratchet "):
                            yield page.name, shlex.split(part)[1:], True
        for span in re.findall(r"`((?:\.venv/bin/)?ratchet [^`]+)`", BLOCK.sub("", text).replace("\n", " ")):
            for part in re.split(r"&&|;", span):
                yield page.name, shlex.split(part)[1:], False


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the first words name, and the words after it."""
    command = COMMANDS
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def test_the_readme_is_short() -> None:
    assert len(text_of(ROOT / "README.md").splitlines()) <= 130


def test_every_link_of_the_repository_leads_to_a_file() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)", text_of(page)):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_command_of_the_pages_exists_with_its_options() -> None:
    found = list(typed())
    assert len(found) > 100
    for page, words, is_whole in found:
        command, rest = command_of(words)
        names = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
        assert not hasattr(command, "commands") or not rest or rest[0] in names | {"COMMAND"}, (page, words)
        assert {word for word in rest if word.startswith("--")} <= names, (page, words)
        if is_whole:
            try:
                command.make_context("ratchet", rest)
            except TyperException as error:
                pytest.fail(f"{page}: {shlex.join(words)}: {error.format_message()}")


def test_every_yaml_block_is_a_policy_or_fits_into_params_yaml() -> None:
    shipped = read_yaml(ROOT / "params.yaml")
    found = list(blocks("yaml"))
    assert len(found) >= 15
    for page, block in found:
        data = parse_yaml(block, page)
        if "rules" in data:
            GatePolicy.model_validate(data)
        elif data.keys() <= Params.model_fields.keys():
            parse_params(merged(shipped, data), page)
        else:
            assert page == "ci_gate.md", f"{page} has a block of something else"
            assert "jobs" in data


def merged(below: Any, above: Any) -> Any:
    """A mapping with the entries of another put over it; a method or a suite is replaced as a whole."""
    if not isinstance(below, dict) or not isinstance(above, dict) or "kind" in above:
        return above
    return below | {key: merged(below.get(key), value) for key, value in above.items()}


def test_the_whole_example_passes_every_check_that_comes_before_a_run(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = (block for page, block in blocks("yaml") if page == "gpu_machine.md")
    data = parse_yaml(example, "gpu_machine.md")
    assert data["model"].pop("revision") == "<commit>"
    data["model"]["id"] = str(tiny_model)
    assert data["evaluation"]["golden"]["bertscore_revision"] == "<commit>"
    data["evaluation"]["golden"]["bertscore_revision"] = "0" * 40
    copy_project(tmp_path)
    (tmp_path / "params.yaml").write_text(dump_yaml(data), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    params = load_params(Path("params.yaml"))
    assert problems(params, ArtifactPaths(tmp_path)) == []


def copy_project(folder: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "golden_sets", folder / "golden_sets")
    shutil.copytree(ROOT / "data/raw", folder / "data/raw")


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({page for page, _ in blocks("console")}))
def test_a_shown_session_prints_what_the_page_shows(page: str, tmp_path: Path) -> None:
    copy_project(tmp_path)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUTF8": "1"}
    for session in [text for name, text in blocks("console") if name == page]:
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            printed = [line.rstrip() for line in done.stdout.splitlines()]
            assert printed == output.splitlines(), command


def test_the_table_of_items_is_what_the_power_of_a_guard_asks_for() -> None:
    page = text_of(DOCS / "howto/golden_set.md").split("| items on which both models differ |")[1].split("\n\n")[0]
    margins = [float(margin) for margin in re.findall(r"0\.\d+", page.splitlines()[0])]
    rows = re.findall(r"^\| (\d+)% \| (.*) \|$", page, re.MULTILINE)
    assert (len(margins), len(rows)) == (4, 3)
    for share, cells in rows:
        design = PairedRates(int(share) / 100)
        needed = [items_for(design, 0.05 / 2, -margin, 0.0, 0.8) for margin in margins]
        assert [int(cell.replace(",", "")) for cell in cells.split(" | ")] == needed


def test_every_exit_code_is_in_the_table() -> None:
    table = text_of(DOCS / "reference/exit_codes.md").split("| code |")[1].split("\n\n")[0]
    documented = {int(number) for row in table.splitlines()[2:] for number in re.findall(r"\d+", row.split("|")[1])}
    assert documented >= {int(code) for code in ExitCode} | {130, 143}


@pytest.mark.parametrize("name", pages())
def test_a_page_that_the_code_writes_is_up_to_date(name: str) -> None:
    assert text_of(DOCS / name) == pages()[name], "run `python -m docs_reference` and commit what it wrote"


@pytest.mark.parametrize("file", ["params.yaml", "examples/gpu/params.yaml", "examples/suites/params.yaml"])
def test_every_setting_of_a_file_that_is_shipped_is_in_the_reference(file: str) -> None:
    page = text_of(DOCS / "reference/params.md")
    sections = dict(re.findall(r"^#+ ([\w.\[\]]+)\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL))
    written = list(settings(read_yaml(ROOT / file)))
    assert len(written) > 40
    for section, key in written:
        named = section if section in sections else f"{section.rpartition('.')[0]}.NAME"
        assert f"\n| `{key}` | " in sections[named], (section, key)


def settings(data: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every section and key below the sections of params.yaml."""
    for entry in data if isinstance(data, list) else ():
        yield from settings(entry, f"{place}[]")
    for key, value in data.items() if isinstance(data, dict) else ():
        if place and place not in ("methods", "evaluation.harness.tasks"):
            yield place, key
        yield from settings(value, f"{place}.{key}".lstrip("."))


def test_every_message_of_the_troubleshooting_page_is_one_of_the_code() -> None:
    known = list(messages())
    shown = [block.strip() for kind, block in BLOCK.findall(text_of(DOCS / "troubleshooting.md")) if kind == "text"]
    assert len(shown) > 60
    for message in shown:
        assert any(in_order(texts, message) for texts in known), message


RULE = {"suite": "golden", "metric": "normalized_exact", "kind": "guard", "margin": 0.05}
MISTAKES: dict[str, Any] = {
    "a key that is misspelt": {"prepare": {"max_row": 100}},
    "a micro-batch that does not divide": {"train": {"micro_batch_size": 3}},
    "a rate that is none": {"methods": {"full": {"kind": "full", "learning_rate": 2}}},
    "a hub id without a commit": {"model": {"id": "HuggingFaceTB/SmolLM2-1.7B-Instruct"}},
    "rows that are not there": {"prepare": {"sources": ["data/raw/qeues.jsonl"]}},
    "a golden set that is not there": {"evaluation": {"golden": {"path": "golden_sets/mine"}}},
    "a metric that no item asks for": {"gate": {"rules": [{**RULE, "metric": "normalised_exact"}]}},
    "a suite that is misspelt": {"gate": {"rules": [{**RULE, "suite": "ifevall", "metric": "inst_level_loose_acc"}]}},
    "another set's metric": {"train": {"select_metric": "f1"}},
    "a margin that nothing can prove": {
        "gate": {"rules": [{**RULE, "suite": "mmlu_pro", "metric": "exact_match", "margin": 0.001}]}
    },
    "safety without over-refusal": {"gate": {"rules": [RULE, {**RULE, "suite": "harmbench", "metric": "asr"}]}},
    "a word that is no schedule": {"schedule": {"cron": "every night"}},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_troubleshooting_page_shows_what_the_shipped_params_say_with_a_mistake_in_them(mistake: str) -> None:
    page = text_of(DOCS / "troubleshooting.md")
    try:
        params = parse_params(merged(read_yaml(ROOT / "params.yaml"), MISTAKES[mistake]), "params.yaml")
        next_runs(params.schedule, 1)
        said = problems(params, ArtifactPaths())
    except UsageError as error:
        said = [str(error)]
    assert len(said) == 1
    assert f"```text\n{said[0]}\n```" in page


def messages() -> Iterator[list[str]]:
    """The fixed parts of every text of the code that is long enough to be a message."""
    for package in ("flows", "tasks", "evalsuite"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(text_of(path))):
                parts = node.values if isinstance(node, ast.JoinedStr) else [node]
                texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
                if sum(map(len, texts)) >= 25:
                    yield texts


def in_order(texts: list[str], message: str) -> bool:
    position = 0
    for text in texts:
        position = message.find(text, position) + len(text)
        if position < len(text):
            return False
    return True


def test_the_site_builds_without_a_warning_and_asks_no_other_host(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"?(http[^\" >]*)", text_of(page))
        loaded += re.findall(
            r"<link[^>]* rel=\"?(?:stylesheet|preconnect|icon)\"?[^>]* href=\"?(http[^\" >]*)", text_of(page)
        )
        assert loaded == [], page.name
