import pickle
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from evalsuite.core.errors import UsageError
from evalsuite.judges.copyright import BOOK, LYRICS, CopyrightRule, min_hash, read_reference, window_hashes

WORDS = [f"word{number}" for number in range(400)]


class MinHash:
    """What datasketch pickles: its attributes, by the name of its class."""

    def __init__(self, values: np.ndarray) -> None:
        self.seed, self.num_perm, self.hashvalues = 1, 128, values


def write_reference(monkeypatch: pytest.MonkeyPatch, path: Path, values: list[np.ndarray]) -> None:
    module = ModuleType("datasketch.minhash")
    monkeypatch.setattr(MinHash, "__module__", "datasketch.minhash")
    module.MinHash = MinHash  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasketch", ModuleType("datasketch"))
    monkeypatch.setitem(sys.modules, "datasketch.minhash", module)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps([MinHash(value) for value in values]))


def test_hashes_are_those_of_datasketch() -> None:
    # datasketch 1.6.5: MinHash(), update(b"alpha"), update(b"beta"); the first four and the sum of hashvalues
    values = min_hash(["alpha", "beta"])

    assert values[:4].tolist() == [579143075, 1012521718, 301100993, 29107052]
    assert int(values.sum()) == 181490237815


def test_windows_overlap_as_published() -> None:
    assert len(window_hashes(WORDS, BOOK)) == 2
    assert len(window_hashes(WORDS, LYRICS)) == 36
    assert len(window_hashes([], LYRICS)) == 1


def test_a_reproduced_window_is_found_and_another_text_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_reference(monkeypatch, tmp_path / "refs" / "song.pkl", window_hashes(WORDS[:120], LYRICS))
    rule = CopyrightRule(tmp_path / "refs", str.split)

    assert rule.reproduces("song", {"lyrics"}, " ".join(WORDS[10:70])) is True
    assert rule.reproduces("song", {"lyrics"}, " ".join(WORDS[200:260])) is False
    assert rule.reproduces("other", {"lyrics"}, "text") is None


def test_a_reference_that_names_code_is_refused(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("ran",)

    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps([Runs()]))
    with pytest.raises(UsageError, match="not a MinHash reference"):
        read_reference(path)


def test_a_behaviour_that_is_neither_book_nor_lyrics_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reference(monkeypatch, tmp_path / "refs" / "song.pkl", window_hashes(WORDS[:60], LYRICS))
    with pytest.raises(UsageError, match="either book or lyrics"):
        CopyrightRule(tmp_path / "refs", str.split).reproduces("song", set(), "text")


def test_a_folder_without_references_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no copyright references"):
        CopyrightRule(tmp_path)
