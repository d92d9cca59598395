"""Who may read and write what is made is for the umask to say."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITE_ONE_OF_EACH = """
import os, sys
from pathlib import Path
import numpy as np
from evalsuite.engines.cache.answer_store import AnswerStore
from evalsuite.core.files import atomic_path, write_json, write_jsonl, write_text
from evalsuite.core.identity import write_manifest
from evalsuite.judges.learned import LinearWeights, write_weights
from evalsuite.items.results import ItemResult, SuiteInfo, SuiteResult, items_sha256
from safetensors.numpy import save_file
from tasks.paths import ArtifactPaths
from tasks.registry.ledger import _append_whole, registry_lock
from tasks.training.state.checkpoints import mark_complete

os.umask(int(sys.argv[1], 8))
root = Path(sys.argv[2])
write_text(root / "a/text.html", "x")
write_json(root / "a/data.json", {})
write_jsonl(root / "a/rows.jsonl", [{}])
for name in ("export", "checkpoint-1"):
    (root / name).mkdir()
    save_file({"w": np.zeros(1, dtype=np.float32)}, root / name / "model.safetensors")
write_manifest(root / "export", "test")
mark_complete(root / "checkpoint-1", None)
with atomic_path(root / "kept.safetensors") as temporary:
    save_file({"w": np.zeros(1, dtype=np.float32)}, temporary)
zero = np.zeros((1, 1, 1))
write_weights(root / "judge.safetensors", LinearWeights(("a",), {}, zero, zero[0], "1", "e", "s"), {})
items = (ItemResult(item_id="i", item_hash="h", metrics=("m",), scores={"m": 1.0}),)
info = SuiteInfo(suite="s", suite_version="1", items_sha256=items_sha256(items), model_identity="x")
SuiteResult(info, items, 1.0).write(root / "evals")
AnswerStore(root / "cache", "x").close()
with registry_lock(ArtifactPaths(root)):
    _append_whole(root / "registry/ledger.jsonl", b"{}\\n")
"""


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [("077", 0o600, 0o700), ("002", 0o664, 0o775), ("027", 0o640, 0o750)]
)
def test_whoever_the_umask_lets_read_and_write_may_read_and_write_what_is_made(
    tmp_path: Path, umask: str, file: int, folder: int
) -> None:
    command = [sys.executable, "-c", WRITE_ONE_OF_EACH, umask, str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    made = list(tmp_path.rglob("*"))
    assert len([path for path in made if path.is_file()]) > 10
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made}
    assert modes == {path.name: folder if path.is_dir() else file for path in made}


def test_no_source_sets_permissions_of_its_own() -> None:
    fixed = re.compile(r"chmod\(0o|mkstemp|NamedTemporaryFile|\.umask\(|os\.open\([^\n]*0o6[0-5]")
    sources = [path for layer in ("evalsuite", "tasks", "flows") for path in (ROOT / layer).rglob("*.py")]
    assert not [path.name for path in sources if fixed.search(path.read_text(encoding="utf-8"))]
