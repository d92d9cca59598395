"""flows, tasks and evalsuite are ours, and the wheel holds nothing else."""

import importlib.util
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPORTED = {"evaluate", "datasets", "tokenizers", "types", "logging", "trl", "peft", "prefect", "dvc", "torch"}


@pytest.mark.parametrize("package", ["flows", "tasks", "evalsuite"])
def test_a_top_level_package_is_this_checkout(package: str) -> None:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT)


def test_the_wheel_ships_three_packages() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert config["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["flows", "tasks", "evalsuite"]


def test_the_licence_that_is_declared_is_the_one_that_lies_here() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert config["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in (ROOT / config["license-files"][0]).read_text()


def test_no_module_of_a_stage_or_flow_shadows_a_package_that_we_import() -> None:
    modules = {path.stem for folder in ("flows", "tasks") for path in (ROOT / folder).glob("*.py")}
    assert not modules & IMPORTED


def test_the_lock_satisfies_the_declared_ranges() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line and line[0] != "#"]
    locked = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    for text in [
        *config["dependencies"],
        *config["optional-dependencies"]["dev"],
        *config["optional-dependencies"]["docs"],
    ]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), text
