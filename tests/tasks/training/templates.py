"""Chat templates like those of known models, and two small tokenizers, one of which adds spaces."""

from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_2 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %} {{ m.content | trim }} {{ eos_token }}"
    "{% else %}[INST] {{ m.content | trim }} [/INST]{% endif %}{% endfor %}"
)
LLAMA_3 = (
    "{{- bos_token }}\n{%- if not date_string is defined %}\n    {%- if strftime_now is defined %}\n"
    '        {%- set date_string = strftime_now("%d %b %Y") %}\n    {%- else %}\n'
    '        {%- set date_string = "26 Jul 2024" %}\n    {%- endif %}\n{%- endif %}\n'
    "{{- '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string + '\n\n<|eot_id|>' }}\n"
    "{%- for m in messages %}\n"
    "{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}\n"
    "{%- endfor %}\n{%- if add_generation_prompt %}\n"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}\n{%- endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
QWEN_3 = (
    "{%- for m in messages %}{%- if m.role == 'assistant' %}{%- set content = m.content.split('</think>')[-1] %}"
    "{%- set content = content.lstrip('\n') %}{{- '<|im_start|>assistant\n' }}{%- if loop.last %}"
    "{{- '<think>\n\n</think>\n\n' }}{%- endif %}{{- content + '<|im_end|>\n' }}"
    "{%- else %}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
    "{%- endif %}"
)
MARKS = {
    "chatml": ("<|im_start|>", "<|im_end|>"),
    "llama_2": ("<s>", "</s>"),
    "llama_3": ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
    "gemma": ("<bos>", "<end_of_turn>", "<start_of_turn>"),
    "qwen_3": ("<|im_start|>", "<|im_end|>"),
}
"""Special tokens of each: the first begins a text where the template writes bos_token, the second ends a turn."""
TEMPLATES = {"chatml": CHATML, "llama_2": LLAMA_2, "llama_3": LLAMA_3, "gemma": GEMMA, "qwen_3": QWEN_3}
TEXTS = [
    "system user assistant model Today Date: 31 Jan 2026 [INST] [/INST] Where is my parcel? It is not here.",
    'The camera is broken. {"queue": "technical", "priority": "normal"}\n\nYes, it is.\n\n\nNo.  Well, 12 of 345.',
    "größer ここ नमस्ते",
]


def byte_level(name: str) -> Any:
    """A byte-level BPE that splits as Llama 3 and Qwen do: line breaks in a row are one token."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    pattern = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*TEXTS, *["\n\n", "\n\n\n", " \n"] * 9], trainer)
    return _wrapped(tokenizer, name)


def sentence_piece(name: str) -> Any:
    """A Unigram with byte fallback that puts a space before every text, as SentencePiece models do."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted({letter for text in TEXTS for letter in text.replace(" ", "▁") if letter != "\n"})
    words = [("▁" + word, -6.0) for word in ("system", "user", "assistant", "model", "Where", "is", "it", "[INST]")]
    pieces = [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    vocabulary = [("<unk>", -30.0), *pieces, *((letter, -10.0) for letter in letters), *dict.fromkeys(words)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]  # the space in front stays
    )
    return _wrapped(tokenizer, name)


def _wrapped(tokenizer: Any, name: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    first, end, *others = MARKS[name]
    wrapped: Any = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=first, eos_token=end, additional_special_tokens=others
    )
    wrapped.chat_template = TEMPLATES[name]
    return wrapped
