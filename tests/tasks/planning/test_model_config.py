"""Configs that leave fields out or nest them, against transformers' own models and published sizes."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite.errors import UsageError
from tasks.params import MethodKind
from tasks.planning.architecture import Architecture, count_parameters, read_config
from tasks.planning.choice import Request
from tasks.planning.hardware import read_machines
from tasks.planning.plan import make_plan

SIGLIP = {
    "hidden_size": 1152,
    "image_size": 896,
    "intermediate_size": 4304,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 16,
    "num_hidden_layers": 27,
    "patch_size": 14,
    "vision_use_head": False,
}


def gemma_3(**text: Any) -> dict[str, Any]:
    return {
        "model_type": "gemma3",
        "mm_tokens_per_image": 256,
        "torch_dtype": "bfloat16",
        "vision_config": SIGLIP,
        "text_config": {
            "model_type": "gemma3_text",
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "sliding_window": 1024,
            **text,
        },
    }


GEMMA_3_12B = gemma_3(
    hidden_size=3840, intermediate_size=15360, num_attention_heads=16, num_hidden_layers=48, num_key_value_heads=8
)
QWEN_2_5_VL_7B = {
    "model_type": "qwen2_5_vl",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "max_position_embeddings": 40960,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
    "vocab_size": 152064,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vision_config": {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "in_chans": 3,
        "out_hidden_size": 3584,
        "spatial_patch_size": 14,
    },
}
LLAVA_1_5_7B = {
    "model_type": "llava",
    "image_token_index": 32000,
    "text_config": {"model_type": "llama", "max_position_embeddings": 4096, "vocab_size": 32064},
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": 1024,
        "image_size": 336,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "patch_size": 14,
        "projection_dim": 768,
        "vocab_size": 32000,
    },
}
MISTRAL_3_24B = {
    "model_type": "mistral3",
    "text_config": {
        "model_type": "mistral",
        "head_dim": 128,
        "hidden_size": 5120,
        "intermediate_size": 32768,
        "num_attention_heads": 32,
        "num_hidden_layers": 40,
        "num_key_value_heads": 8,
        "sliding_window": None,
        "vocab_size": 131072,
    },
    "vision_config": {
        "model_type": "pixtral",
        "head_dim": 64,
        "hidden_size": 1024,
        "image_size": 1540,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "patch_size": 14,
    },
}
PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    # What the hub's safetensors of each hold in all: text model and towers
    "gemma-3-4b-it": (gemma_3(hidden_size=2560, intermediate_size=10240, num_hidden_layers=34), 4_300_079_472),
    "gemma-3-12b-it": (GEMMA_3_12B, 12_187_325_040),
    "gemma-3-27b-it": (
        gemma_3(
            head_dim=128,
            hidden_size=5376,
            intermediate_size=21504,
            num_attention_heads=32,
            num_hidden_layers=62,
            num_key_value_heads=16,
        ),
        27_432_406_640,
    ),
    "Qwen2.5-VL-7B-Instruct": (QWEN_2_5_VL_7B, 8_292_166_656),
    "llava-1.5-7b-hf": (LLAVA_1_5_7B, 7_063_427_072),
    "Mistral-Small-3.1-24B": (MISTRAL_3_24B, 24_011_361_280),
    "paligemma-3b-pt-224": (
        {
            "model_type": "paligemma",
            "projection_dim": 2048,
            "text_config": {
                "model_type": "gemma",
                "hidden_size": 2048,
                "intermediate_size": 16384,
                "num_attention_heads": 8,
                "num_hidden_layers": 18,
                "num_key_value_heads": 1,
                "vocab_size": 257216,
            },
            "vision_config": {**SIGLIP, "image_size": 224, "projection_dim": 2048},
        },
        2_923_466_480,
    ),
    "Mistral-7B-v0.1": (
        {
            "model_type": "mistral",
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_attention_heads": 32,
            "num_hidden_layers": 32,
            "vocab_size": 32000,
        },
        7_241_732_096,
    ),
    "gemma-2-9b": (
        {
            "model_type": "gemma2",
            "hidden_size": 3584,
            "intermediate_size": 14336,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "num_hidden_layers": 42,
        },
        9_241_705_984,
    ),
    "gpt-oss-20b": (
        {
            "model_type": "gpt_oss",
            "num_hidden_layers": 24,
            "num_local_experts": 32,
            "quantization_config": {"quant_method": "mxfp4"},
            "_attn_implementation": "flash_attention_3",
        },
        20_914_757_184,
    ),
    "DeepSeek-V2-Lite": (
        {
            "model_type": "deepseek_v2",
            "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV2Config"},
            "first_k_dense_replace": 1,
            "hidden_size": 2048,
            "intermediate_size": 10944,
            "moe_intermediate_size": 1408,
            "n_routed_experts": 64,
            "n_shared_experts": 2,
            "num_attention_heads": 16,
            "num_experts_per_tok": 6,
            "num_hidden_layers": 27,
            "num_key_value_heads": 16,
            "q_lora_rank": None,
            "vocab_size": 102400,
        },
        15_706_484_224,
    ),
    "mpt-7b": (
        {
            "model_type": "mpt",
            "attn_config": {"alibi": True, "attn_impl": "torch", "attn_type": "multihead_attention"},
            "d_model": 4096,
            "n_heads": 32,
            "n_layers": 32,
            "no_bias": True,
            "vocab_size": 50432,
        },
        6_649_286_656,
    ),
    "falcon-7b": ({"model_type": "falcon", "multi_query": True, "num_attention_heads": 71}, 6_921_720_704),
    "opt-350m": (
        {
            "model_type": "opt",
            "do_layer_norm_before": False,
            "ffn_dim": 4096,
            "hidden_size": 1024,
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
            "word_embed_proj_dim": 512,
        },
        331_196_416,
    ),
    "bloom-560m": (
        {"model_type": "bloom", "n_embed": 1024, "n_layer": 24, "num_attention_heads": 16, "vocab_size": 250880},
        559_214_592,
    ),
    "phi-4": (
        {
            "model_type": "phi3",
            "hidden_size": 5120,
            "intermediate_size": 17920,
            "num_attention_heads": 40,
            "num_hidden_layers": 40,
            "num_key_value_heads": 10,
            "vocab_size": 100352,
        },
        14_659_507_200,
    ),
    "gpt2": ({"model_type": "gpt2"}, 124_439_808),
}


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
