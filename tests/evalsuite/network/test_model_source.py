"""What a model reference means."""

from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.network.model_source import resolve_model


def test_a_folder_with_safetensors_is_used_as_it_is(tiny_model: Path) -> None:
    source = resolve_model(str(tiny_model))
    assert (source.folder, source.gguf, source.hub_id) == (tiny_model, None, None)


def test_a_hub_id_is_recognised_without_asking_the_hub() -> None:
    assert resolve_model("HuggingFaceTB/SmolLM2-135M-Instruct").hub_id == "HuggingFaceTB/SmolLM2-135M-Instruct"


@pytest.mark.parametrize("reference", ["package:no_such_package", "package:../etc", "package:os.path", "package:"])
def test_a_package_that_is_not_there_names_make_install(reference: str) -> None:
    with pytest.raises(UsageError, match="make install"):
        resolve_model(reference)


def test_a_package_without_weights_says_so() -> None:
    with pytest.raises(UsageError, match="carries no safetensors"):
        resolve_model("package:yaml")


@pytest.mark.parametrize("reference", ["./absent", "/absent/x", "absent", "a/b/c"])
def test_what_is_neither_is_refused(reference: str) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        resolve_model(reference)
