"""Public data that tests measure on; absent on most machines."""

from pathlib import Path

import pytest

DATA = Path(__file__).parents[4] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no public data at {DATA}")
LABELS = DATA / "harmbench_judge" / "labelled_completions.json"
