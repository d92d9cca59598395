"""A random model small enough for seconds, with a real tokenizer and a chat template."""

from collections.abc import Sequence
from pathlib import Path

TEXT = [
    "<|im_start|>system\nTurn the support request into JSON with the keys queue, priority, product, action.<|im_end|>",
    "Where is my parcel? The router that I ordered last week has not arrived yet, please help me as soon as possible.",
    'The camera is broken. {"queue": "technical", "priority": "normal", "product": "camera", "action": "replace"}',
    "Question: What organ pumps blood through the body? Options: A. heart B. liver. Answer: Let's think step by step.",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tiny_model(folder: Path, seed: int = 0, tied: bool = True, text: Sequence[str] = TEXT) -> Path:
    """Save a random Llama of about 100,000 parameters with a byte-level BPE tokenizer and a manifest.

    Args:
        folder: Where it is written.
        seed: Of the weights.
        tied: Whether input and output embeddings are one matrix.
        text: What the tokenizer learns its 400 tokens from.
    """
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from evalsuite.core.identity import write_manifest

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(text, vocab_size=400, special_tokens=["<|im_start|>", "<|im_end|>"], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer,
        eos_token="<|im_end|>",  # noqa: S106  a token of text
        pad_token="<|im_end|>",  # noqa: S106
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_manifest(folder, source="tiny", num_parameters=model.num_parameters())
    return folder
