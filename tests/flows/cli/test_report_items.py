import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from tasks.paths import ArtifactPaths
from tests.tasks.stages.test_report import made, project

ROOT = Path(__file__).parents[3]

__all__ = ["made", "project"]


def test_every_changed_item_is_written_beside_the_report(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, project.root)
    monkeypatch.chdir(project.root)
    left = [project.reports / f"items-{number}.html" for number in (2, 3)]
    for path in left:
        path.write_text("of an earlier run")
    done = CliRunner().invoke(app, ["report", "items"], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.splitlines()[-1].endswith("reports/items.html")
    page = (project.reports / "items.html").read_text(encoding="utf-8")
    assert "Items 1 to 60 of 60" in page
    assert not any(path.exists() for path in left)
