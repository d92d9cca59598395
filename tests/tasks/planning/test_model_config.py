"""Configs that leave fields out or nest them, against transformers' own models and published sizes."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from tasks.config.methods import MethodKind
from tasks.planning.architecture import Architecture, read_config
from tasks.planning.choice import Request
from tasks.planning.hardware import read_machines
from tasks.planning.meta_device import count_parameters
from tasks.planning.plan import make_plan
from tests.tasks.planning.published_configs import GEMMA_3_12B, LLAVA_1_5_7B, MISTRAL_3_24B, PUBLISHED, QWEN_2_5_VL_7B


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_config_has_its_published_number_of_parameters(name: str) -> None:
    config, parameters = PUBLISHED[name]
    assert count_parameters(config).loaded_parameters == parameters


@pytest.mark.parametrize(
    ("config", "text"),
    [(GEMMA_3_12B, 11_766_034_176), (QWEN_2_5_VL_7B, 7_615_616_512), (LLAVA_1_5_7B, 6_738_939_904)],
    ids=["gemma3", "qwen2.5-vl-flat", "llava"],
)
def test_the_text_model_is_counted_and_its_tower_beside_it(config: dict[str, Any], text: int) -> None:
    found = count_parameters(config)
    assert found.parameters == text
    assert found.beside > 0


FAMILIES = (
    "aria",
    "bloom",
    "deepseek_v3",
    "falcon",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3_text",
    "gpt2",
    "gpt_neox",
    "gpt_oss",
    "granite",
    "idefics3",
    "internlm3",
    "jamba",
    "llama",
    "llama4",
    "llava",
    "llava_onevision",
    "mistral",
    "mixtral",
    "mpt",
    "olmo2",
    "opt",
    "paligemma",
    "phi3",
    "phimoe",
    "qwen2_moe",
    "qwen3_5",
    "qwen3_moe",
    "smolvlm",
    "stablelm",
)


def peer(config: dict[str, Any]) -> int:
    """transformers' own count of the text model, built by itself from its part of the configuration."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = {name: value for name, value in config.items() if name != "model_type"}
    with torch.device("meta"):
        text = AutoConfig.for_model(config["model_type"], **fields).get_text_config()
        return int(AutoModelForCausalLM.from_config(text).num_parameters())


@pytest.mark.filterwarnings("ignore")  # transformers', on defaults of some families
@pytest.mark.parametrize("family", FAMILIES)
def test_a_config_that_says_its_type_alone_is_the_model_of_its_class_s_defaults(family: str) -> None:
    assert count_parameters({"model_type": family}).parameters == peer({"model_type": family})


@pytest.mark.parametrize("family", ["mllama", "qwen2_5_vl", "qwen3_vl"])
def test_the_parts_of_a_model_whose_text_has_no_class_of_its_own_are_the_whole(family: str) -> None:
    from tasks.planning.meta_device import build_empty

    found = count_parameters({"model_type": family})
    assert found.loaded_parameters == build_empty({"model_type": family}).num_parameters()


def test_a_text_config_without_a_type_is_its_class_s_default() -> None:
    nameless = {**GEMMA_3_12B, "text_config": {**GEMMA_3_12B["text_config"]}}
    del nameless["text_config"]["model_type"]
    assert count_parameters(nameless) == count_parameters(GEMMA_3_12B)


def test_a_flat_config_and_its_nested_form_are_one_model() -> None:
    outer = {"model_type", "vision_config", "tie_word_embeddings"}
    nested: dict[str, Any] = {name: value for name, value in QWEN_2_5_VL_7B.items() if name in outer}
    nested["text_config"] = {name: value for name, value in QWEN_2_5_VL_7B.items() if name not in outer}
    assert count_parameters(nested) == count_parameters(QWEN_2_5_VL_7B)


@pytest.mark.parametrize("tied", [True, False])
def test_a_tower_s_model_ties_its_ends_as_its_config_says(tied: bool) -> None:
    found = count_parameters({**MISTRAL_3_24B, "tie_word_embeddings": tied})
    assert (found.head == 0) == tied


PARTS = ("text_config", "vision_config")
PLANNED = ("gemma2", "gemma3", "gpt2", "llama", "llava", "mistral", "mixtral", "phi3", "qwen2_5_vl", "qwen3_moe")
DIFFERENT: dict[str, dict[str, Any]] = {
    "mistral": {"hidden_size": 2048, "num_attention_heads": 16},
    "gemma2": {"num_hidden_layers": 3},
    "mixtral": {"num_local_experts": 4},
}
"""Fields of a family that are not its class's defaults, so that the two are mixed."""


@cache
def plan_of(model: Architecture) -> dict[str, Any]:
    machines = read_machines("8xA100-80GB", 1)
    return make_plan(model, Request(kind=MethodKind.LORA, machines=machines), any_micro_batch=True)[0]


@cache
def whole_and_defaults(family: str) -> tuple[dict[str, Any], dict[str, Any], Architecture]:
    """Every field of a config, those of its class alone, and its count; a part's class is that of its model type."""
    from transformers import AutoConfig

    def written(model_type: str, **fields: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(AutoConfig.for_model(model_type, **fields).to_json_string(False))
        return found

    whole, defaults = written(family, **DIFFERENT.get(family, {})), written(family)
    for part in PARTS:
        if part in whole:
            defaults[part] = written(whole[part]["model_type"])
    return whole, defaults, count_parameters(whole)


def without(data: st.DataObject, whole: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The same config with some of the fields left out that equal the default, of its parts too."""
    missing = object()
    equal = sorted(name for name, value in whole.items() if defaults.get(name, missing) == value)
    dropped = data.draw(st.sets(st.sampled_from([name for name in equal if name not in ("model_type", *PARTS)])))
    return {
        name: without(data, value, defaults[name]) if name in PARTS else value
        for name, value in whole.items()
        if name not in dropped
    }


@pytest.mark.slow
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_dropping_fields_that_equal_the_default_changes_neither_count_nor_plan(data: st.DataObject) -> None:
    family = data.draw(st.sampled_from(PLANNED))
    whole, defaults, expected = whole_and_defaults(family)
    found = count_parameters(without(data, whole, defaults))
    assert found == expected
    assert plan_of(found) == plan_of(expected)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "internvl_chat", "llm_config": {}}, r"'internvl_chat' is none that transformers .*internvl"),
        ({"model_type": "RefinedWeb"}, "'RefinedWeb' is none .* give the config"),
        ({"model_type": "t5"}, "'t5' model is an encoder with a decoder"),
        ({"model_type": "bart"}, "'bart' model is an encoder with a decoder"),
        ({"model_type": "musicgen"}, "'musicgen' model"),
        ({"model_type": "clip"}, "no language model of type 'clip'"),
        ({"model_type": "llava", "text_config": "llama"}, "'llava'"),
        ({"model_type": "llava", "text_config": {"model_type": "nosuchtext"}}, "nosuchtext"),
        ({"model_type": "llava", "text_config": {"num_hidden_layers": 10**9}}, "num_hidden_layers"),
        ({"model_type": "qwen2_vl", "vision_config": {"depth": 10**9}}, "depth"),
        ({"model_type": "jamba", "num_experts": 10**9}, "num_experts"),
    ],
)
def test_what_is_no_language_model_that_is_built_in_is_refused_by_name(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        count_parameters(config)
    assert len(str(refused.value)) < 500


def test_a_file_of_a_nested_model_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(GEMMA_3_12B))
    assert count_parameters(read_config(path)).family == "gemma3_text"
