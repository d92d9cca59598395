"""Counts against transformers' own models on the meta device, and against published numbers."""

import json
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from tasks.planning.architecture import Architecture, read_config
from tasks.planning.meta_device import count_parameters

SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}
LLAMA_3_1_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
MIXTRAL_8X7B = {
    **LLAMA_3_1_8B,
    "model_type": "mixtral",
    "vocab_size": 32000,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}
QWEN_MOE = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 16}


def meta_model(config: dict[str, Any]) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = {name: value for name, value in config.items() if name != "model_type"}
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(config["model_type"], **fields))


CONFIGS = {
    "llama-untied": {**SMALL, "model_type": "llama"},
    "llama-tied-biases": {
        **SMALL,
        "model_type": "llama",
        "tie_word_embeddings": True,
        "attention_bias": True,
        "mlp_bias": True,
    },
    "mistral-wide-heads": {**SMALL, "model_type": "mistral", "head_dim": 32},
    "qwen2": {**SMALL, "model_type": "qwen2"},
    "qwen3": {**SMALL, "model_type": "qwen3", "head_dim": 32},
    "gemma-tied": {**SMALL, "model_type": "gemma", "head_dim": 32},
    "gemma2-tied": {**SMALL, "model_type": "gemma2", "head_dim": 32},
    "gemma3-tied": {**SMALL, "model_type": "gemma3_text", "head_dim": 32},
    "phi3-fused": {**SMALL, "model_type": "phi3", "pad_token_id": 0},
    "mixtral": {**SMALL, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2-moe": {
        **SMALL,
        **QWEN_MOE,
        "model_type": "qwen2_moe",
        "shared_expert_intermediate_size": 48,
        "mlp_only_layers": [1],
    },
    "qwen3-moe-every-second": {**SMALL, **QWEN_MOE, "model_type": "qwen3_moe", "decoder_sparse_step": 2},
    "gpt-neox": {**SMALL, "model_type": "gpt_neox"},
    "gpt-neox-tied": {**SMALL, "model_type": "gpt_neox", "tie_word_embeddings": True},
    "gpt2": {"model_type": "gpt2", "n_embd": 64, "n_layer": 3, "n_head": 4, "vocab_size": 1000, "n_positions": 128},
    "olmo2-through-the-meta-device": {**SMALL, "model_type": "olmo2"},
    "starcoder2-through-the-meta-device": {**SMALL, "model_type": "starcoder2"},
    "phi-through-the-meta-device": {**SMALL, "model_type": "phi"},
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_the_count_is_that_of_the_model_transformers_builds(config: dict[str, Any]) -> None:
    assert count_parameters(config).parameters == meta_model(config).num_parameters()


@pytest.mark.parametrize("name", ["llama-untied", "gemma2-tied", "qwen2-moe", "gpt-neox", "mixtral", "phi3-fused"])
def test_what_can_be_quantised_is_every_linear_layer_but_the_output(name: str) -> None:
    from torch.nn import Linear

    model = meta_model(CONFIGS[name])
    output = model.get_output_embeddings()
    linears = [module for module in model.modules() if isinstance(module, Linear) and module is not output]
    found = count_parameters(CONFIGS[name]).linear_parameters
    assert found == sum(module.weight.numel() for module in linears)


@pytest.mark.filterwarnings("ignore:The following (rank|alpha)_pattern keys:RuntimeWarning")  # peft's, for Mixtral
@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("name", ["llama-untied", "gemma-tied", "qwen2-moe", "gpt-neox", "mixtral", "phi3-fused"])
def test_adapters_have_as_many_parameters_as_peft_trains(name: str, dora: bool) -> None:
    from peft import LoraConfig, get_peft_model

    if dora and name == "mixtral":
        pytest.skip("peft has no DoRA for Mixtral's experts; the planner says so")
    settings = LoraConfig(r=8, target_modules="all-linear", use_dora=dora, task_type="CAUSAL_LM")
    model = get_peft_model(meta_model(CONFIGS[name]), settings)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert count_parameters(CONFIGS[name]).adapter_parameters(8, dora=dora) == trained


def test_llama_3_1_8b_has_its_published_number_of_parameters() -> None:
    # Its checkpoint index on the hub: 16,060,522,496 bytes of bf16
    assert count_parameters(LLAMA_3_1_8B).parameters * 2 == 16_060_522_496


def test_mixtral_has_47_billion_parameters_of_which_a_token_uses_13() -> None:
    # Jiang et al. 2024, arXiv:2401.04088: 47B in all, 13B active
    mixtral: Architecture = count_parameters(MIXTRAL_8X7B)
    assert round(mixtral.parameters / 1e9) == 47
    assert round((mixtral.active_parameters + mixtral.embedding) / 1e9) == 13


def test_targets_that_match_nothing_are_named_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"absent.*q_proj"):
        count_parameters(LLAMA_3_1_8B).adapter_parameters(8, ["absent"])


def test_dora_on_experts_is_refused_as_peft_does() -> None:
    with pytest.raises(UsageError, match="no DoRA for the experts"):
        count_parameters(MIXTRAL_8X7B).adapter_parameters(8, dora=True)


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(UsageError, match="nosuchmodel") as refused:
        count_parameters({**SMALL, "model_type": "nosuchmodel"})
    assert len(str(refused.value)) < 400  # transformers lists the five hundred that it knows


@pytest.mark.parametrize("text", ["no json", "[]", "{}"])
def test_a_file_that_is_no_config_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"config\.json"):
        read_config(path)


HOSTILE: dict[str, tuple[str, str]] = {
    "nested": ("[" * 100_000, "nested too deeply"),
    "no-type-of-the-whole": ('{"text_config": {"model_type": "llama"}}', "model_type"),
    "list-as-type": ('{"model_type": ["llama"]}', "model_type"),
    "bytes": ("\udcff", "not UTF-8"),
    "digits": ('{"model_type": "llama", "hidden_size": ' + "9" * 5000 + "}", "not JSON"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_words(name: str, tmp_path: Path) -> None:
    text, message = HOSTILE[name]
    path = tmp_path / "config.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=message):
        read_config(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden_size", 0),
        ("hidden_size", -64),
        ("hidden_size", 1e3),
        ("hidden_size", "64"),
        ("vocab_size", 10**400),
        ("num_attention_heads", 0),
        ("num_hidden_layers", 0),
        ("num_hidden_layers", 10**12),
        ("num_hidden_layers", float("nan")),
        ("num_experts_per_tok", 7),
        ("mlp_only_layers", 5),
        ("decoder_sparse_step", 0),
    ],
)
def test_a_number_that_no_model_has_is_named_at_once(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=field):
        count_parameters({**SMALL, **QWEN_MOE, "model_type": "qwen3_moe", field: value})


@pytest.mark.parametrize(("field", "value"), [("num_hidden_layers", 10**12), ("intermediate_size", 10**30)])
def test_a_family_that_transformers_builds_is_refused_by_number_too(field: str, value: int) -> None:
    with pytest.raises(UsageError, match=field):
        count_parameters({**SMALL, "model_type": "olmo2", field: value})


def test_a_name_too_long_for_a_file_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_config("a" * 5000)


def test_a_folder_and_its_config_file_are_the_same_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_3_1_8B))
    assert read_config(tmp_path) == read_config(tmp_path / "config.json") == LLAMA_3_1_8B


def test_a_name_that_is_neither_file_nor_hub_id_says_what_to_give() -> None:
    with pytest.raises(UsageError, match=r"config\.json, a model's folder or a hub id"):
        read_config("nowhere")
