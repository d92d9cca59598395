"""What lm-eval, nltk and langdetect keep for a whole process, set so that a run gives the same and reaches nothing."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def fix_language_detection() -> None:
    """IFEval's case checkers ask langdetect for the language, which draws at random unless it is given a seed."""
    from langdetect import DetectorFactory

    DetectorFactory.seed = 0


@contextmanager
def offline(data_root: Path | None) -> Iterator[None]:
    """Keep lm-eval and nltk from reaching out while a local data root stands in for the hub."""
    if data_root is None:
        yield
        return
    wanted = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    nltk_data = data_root / "nltk_data"
    if nltk_data.is_dir():
        import nltk

        # Before any other: another data root's sentence splitter in this process would give other verdicts.
        where = str(nltk_data.resolve())
        nltk.data.path[:] = [where, *(path for path in nltk.data.path if path != where)]
        _forget_sentence_tokenizers()
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _forget_sentence_tokenizers() -> None:
    """IFEval's checkers keep the sentence splitter that they loaded first."""
    for name, module in list(sys.modules.items()):
        if name.endswith("ifeval.instructions_util") and hasattr(module, "_get_sentence_tokenizer"):
            module._get_sentence_tokenizer.cache_clear()
