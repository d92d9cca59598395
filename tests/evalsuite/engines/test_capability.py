"""What the engine says of configurations, and its answers against each family's own generation."""

import sys
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.engines.base import GenerationRequest
from evalsuite.engines.capability import cache_bytes_per_token, context_length, ignores_padding, why_not_answered
from evalsuite.engines.hf import HFEngine
from evalsuite.engines.openai import OpenAIEngine

TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 512,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
    "vision_use_head": False,
}
EXPERTS = {"num_local_experts": 2, "num_experts_per_tok": 1}
LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
QWEN_NEXT = {
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "layer_types": ["linear_attention", "full_attention"],
}
JAMBA = {
    "num_hidden_layers": 4,
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "mamba_d_state": 8,
    "mamba_dt_rank": 4,
    "use_mamba_kernels": False,
}
COMPRESSED = {
    "num_attention_heads": 4,
    "q_lora_rank": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "sliding_window": 16,
    "num_hidden_layers": 4,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "gemma2": {**TEXT, "sliding_window": 16},
    "gemma3": {"text_config": {**TEXT, "sliding_window": 16}, "vision_config": VISION, "mm_tokens_per_image": 4},
    "gpt_oss": {**TEXT, **EXPERTS, "sliding_window": 16},
    "llama4_text": {**TEXT, **EXPERTS, "intermediate_size_mlp": 64, "attention_chunk_size": 16},
    "mixtral": {**TEXT, **EXPERTS},
    "falcon": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 2},
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 2},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 512},
    "opt": {
        "hidden_size": 32,
        "ffn_dim": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "word_embed_proj_dim": 32,
    },
    "lfm2": {**TEXT, "layer_types": ["conv", "full_attention"]},
    "qwen3_next": {**TEXT, **LINEAR, **QWEN_NEXT},
    "jamba": {**TEXT, **JAMBA},
    "deepseek_v4": {**TEXT, **COMPRESSED},
}


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def make(family: str, tokenizer: Any) -> Any:
    """A random model whose greedy texts vary: weights wide enough that no token always wins."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokens = {
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    fields = dict(FAMILIES[family])
    if "text_config" in fields:
        fields["text_config"] = {**fields["text_config"], **tokens}
        # Tokens that stand for images, which no text of these tests has.
        fields |= {name: len(tokenizer) - 1 for name in ("image_token_index", "boi_token_index", "eoi_token_index")}
    else:
        fields |= tokens
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **fields), dtype=torch.float32)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1 and "vision" not in name:
                weights.normal_(0, 0.2)
    return model.eval()


PROMPTS = (
    "Where",
    "The camera is broken, please help me as soon as possible.",
    "Question: What organ pumps blood through the body? Options: A. heart B. liver. Answer: Let's think",
    "router " * 12,
)


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_of_several_lengths_get_the_family_s_own_texts(family: str, tokenizer: Any) -> None:
    import torch

    engine = HFEngine(make(family, tokenizer), tokenizer, family)
    answers = engine.generate([GenerationRequest(prompt, (), 8) for prompt in PROMPTS], "test")
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        output = engine.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
        assert answer.text == tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_loglikelihoods_are_those_of_the_family_s_plain_forward_pass(family: str, tokenizer: Any) -> None:
    import torch

    engine = HFEngine(make(family, tokenizer), tokenizer, family)
    pairs = [(PROMPTS[0], " is my parcel"), (PROMPTS[1], " router"), (PROMPTS[2], " step by step.")]
    for (context, continuation), found in zip(pairs, engine.loglikelihoods(pairs, "test"), strict=True):
        first, second = engine._encoder.encode_pair(context, continuation)
        with torch.inference_mode():
            logits = engine.model(input_ids=torch.tensor([first + second]), use_cache=False).logits[0].double()
        scores = torch.log_softmax(logits[len(first) - 1 : -1], dim=-1)
        assert found.value == pytest.approx(sum(float(scores[i, token]) for i, token in enumerate(second)), abs=1e-3)


def test_a_model_that_reads_padding_is_found_out(tokenizer: Any) -> None:
    assert not ignores_padding(make("deepseek_v4", tokenizer))
    assert ignores_padding(make("qwen3_next", tokenizer))
    assert ignores_padding(make("gemma3", tokenizer))


def test_a_nested_config_s_context_refuses_a_prompt_that_is_too_long(tokenizer: Any) -> None:
    engine = HFEngine(make("gemma3", tokenizer), tokenizer, "gemma3")
    with pytest.raises(UsageError, match="do not fit the model's context of 512"):
        engine.generate([GenerationRequest("camera " * 600, (), 4)], "test")


@pytest.mark.parametrize(
    ("family", "fields", "length"),
    [
        ("llama", {"max_position_embeddings": 77}, 77),
        ("gemma3", {"text_config": {"max_position_embeddings": 77}}, 77),
        ("llava", {}, 2048),
        ("gpt2", {"n_positions": 77}, 77),
        ("mpt", {"max_seq_len": 77}, 77),
        ("bloom", {}, sys.maxsize),
    ],
)
def test_the_context_length_is_the_text_model_s(family: str, fields: dict[str, Any], length: int) -> None:
    from transformers import AutoConfig

    assert context_length(AutoConfig.for_model(family, **fields)) == length


def test_a_server_s_prompts_are_held_to_a_nested_context_too(tokenizer: Any, tmp_path: Path) -> None:
    make("gemma3", tokenizer).config.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    engine = OpenAIEngine.for_folder(tmp_path, "x", "http://127.0.0.1:1/v1", "x")
    with pytest.raises(UsageError, match="context of 512"):
        engine.generate([GenerationRequest("camera " * 600, (), 4)], "test")


@pytest.mark.parametrize(
    ("family", "bytes_per_token"),
    [
        ("gemma3", 2 * 2 * 1 * 16 * 4),  # keys and values, layers, heads, width, bytes
        ("falcon", 2 * 2 * 1 * 16 * 4),  # multi-query: one head of keys
        ("gpt2", 2 * 2 * 2 * 16 * 4),
        ("mpt", 2 * 2 * 2 * 16 * 4),
    ],
)
def test_a_token_s_cache_is_counted_by_the_heads_that_are_kept(
    family: str, bytes_per_token: int, tokenizer: Any
) -> None:
    assert cache_bytes_per_token(make(family, tokenizer)) == bytes_per_token


REFUSED = {
    "mamba": "no keys and values",
    "mamba2": "no keys and values",
    "falcon_mamba": "no keys and values",
    "rwkv": "no keys and values",
    "recurrent_gemma": "no keys and values",
    "xlnet": "no keys and values",
    "xlstm": "no keys and values",
    "openai-gpt": "no keys and values",
    "t5": "an encoder-decoder model",
    "bart": "an encoder-decoder model",
    "whisper": "an encoder-decoder model",
    "bert": "is an encoder",
    "roberta": "is an encoder",
    "llava": "no causal language model of type 'llava'",
    "clip": "no causal language model of type 'clip'",
}


@pytest.mark.parametrize("family", REFUSED)
def test_what_the_engine_cannot_ask_is_refused_by_name_before_its_weights_are_read(family: str, tmp_path: Path) -> None:
    from transformers import AutoConfig

    AutoConfig.for_model(family).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=rf"'{family}'.*{REFUSED[family]}|{REFUSED[family]}") as refused:
        HFEngine.load(tmp_path, "x")
    assert family in str(refused.value)
    assert "evaluation.engine.kind vllm" in str(refused.value)


@pytest.mark.parametrize("family", [*FAMILIES, "llama", "gpt_neox", "qwen3_5", "deepseek_v3", "olmo_hybrid"])
def test_what_has_keys_and_values_is_not_refused(family: str) -> None:
    from transformers import AutoConfig

    assert why_not_answered(AutoConfig.for_model(family)) is None


def test_a_decoder_that_was_taken_out_of_an_encoder_decoder_is_not_refused() -> None:
    from transformers import AutoConfig

    config = AutoConfig.for_model("bart", is_decoder=True, is_encoder_decoder=False)
    assert why_not_answered(config) is None


def test_a_folder_whose_model_type_nobody_knows_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "nosuchmodel"}')
    with pytest.raises(UsageError, match=r"cannot read its config\.json.*nosuchmodel"):
        HFEngine.load(tmp_path, "x")
