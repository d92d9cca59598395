"""Stages of the pipeline and what they need."""

import importlib.util
import sys

if any(importlib.util.find_spec(name) is None for name in ("pydantic", "transformers", "trl")):
    sys.exit(
        f"error: {sys.executable} has not Ratchet's packages; run `source .venv/bin/activate` first (or `make install`)"
    )
