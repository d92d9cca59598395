"""The pages that messages name can be read where there is no docs folder."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evalsuite.core.errors import UsageError
from flows.cli.app import ORDER, app
from flows.cli.manual.command import PAGES

ROOT = Path(__file__).parents[4]
DOCSTRING = re.compile(r'"""(?:[^"]|"(?!""))*"""')


def sources() -> dict[str, str]:
    """Code without its docstrings and comments, by file."""
    files = [path for layer in ("flows", "tasks", "evalsuite") for path in sorted((ROOT / layer).rglob("*.py"))]
    texts = {path.relative_to(ROOT).as_posix(): DOCSTRING.sub("", path.read_text(encoding="utf-8")) for path in files}
    return {name: re.sub(r"\s#[^\n]*", "", text) for name, text in texts.items()}


def test_every_page_that_a_message_names_is_one_of_the_command_s() -> None:
    named = {(name, page) for name, text in sources().items() for page in re.findall(r"`ratchet help (\w+)", text)}
    assert len({page for _, page in named}) >= 4
    assert {page for _, page in named} <= {path.stem for path in PAGES.glob("*.md")}


def test_no_message_names_a_file_that_a_project_of_ratchet_init_lacks() -> None:
    found = [name for name, text in sources().items() if re.search(r"docs/[\w/]+\.md", text)]
    assert found == []


def test_a_page_is_printed_as_it_stands_in_docs() -> None:
    for path in PAGES.glob("*.md"):
        assert (ROOT / "docs") in path.resolve().parents
        done = CliRunner().invoke(app, ["help", path.stem])
        assert done.exit_code == 0
        assert done.stdout == path.read_text(encoding="utf-8") + "\n"


def test_the_pages_are_listed_with_their_titles() -> None:
    done = CliRunner().invoke(app, ["help"])
    assert "ratchet help data          Training rows\n" in done.stdout
    assert len(done.stdout.splitlines()) == len(list(PAGES.glob("*.md")))


@pytest.mark.parametrize("name", ["dta", "../../app", "data.md", "/etc/passwd"])
def test_another_name_is_refused_with_the_pages_that_there_are(name: str) -> None:
    done = CliRunner().invoke(app, ["help", name])
    assert isinstance(done.exception, UsageError)
    assert "pages: data, feedback, golden_sets, own_suite, params" in str(done.exception)


def test_the_main_path_is_listed_first() -> None:
    lines = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout.splitlines()
    listed = [found[1] for line in lines if (found := re.match(r"\W{1,3}([a-z][a-z-]+)  +[A-Z]", line))]
    assert listed == list(ORDER)
