"""What a process of ours says on stderr."""

import logging
import os
import sys
import warnings

QUIET_LOGGERS = ("bitsandbytes", "lm_eval.api.task", "httpx", "httpx2", "filelock")
"""Libraries that warn on every start of things that no user of a stage can change."""


def start_logging() -> None:
    """Log to stderr; leave progress and warnings of ours alone there."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore", FutureWarning)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DEEPSPEED_LOG_LEVEL", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
