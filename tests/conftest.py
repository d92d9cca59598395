"""Fixtures that several tests share."""

from pathlib import Path

import pytest

from tests.tiny import make_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model; copy it before changing it."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
