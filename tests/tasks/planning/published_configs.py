"""Configs as their authors publish them, without the fields that decide no size, and what the models hold."""

from typing import Any

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
