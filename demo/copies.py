"""Copies of the project: its stages and its code, for data and settings of their own."""

import shutil
from pathlib import Path

SOURCES = ("flows", "tasks", "evalsuite")


def copy_sources(here: Path, copy: Path) -> None:
    """The code that dvc.yaml names, and dvc.yaml itself; without data, settings, outputs and history."""
    for name in SOURCES:
        shutil.copytree(here / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(here / name, copy / name)
