"""What was found in a text is not looked for again, unless something that decides it changed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.prepare.personal import kept
from tasks.prepare.personal.finding import OWN_MODEL, Wanted
from tasks.prepare.personal.kept import found_or_kept, maker
from tasks.prepare.personal.reading import Found

WANTED = Wanted(frozenset(("EMAIL_ADDRESS", "IP_ADDRESS")), "en", OWN_MODEL, 0.5)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were looked through."""
    seen: list[str] = []

    def look(texts: Sequence[str], wanted: Wanted, processes: int) -> Iterator[list[Found]]:
        for text in texts:
            if text == "broken":
                raise RuntimeError("stopped")
            seen.append(text)
            yield [Found("EMAIL_ADDRESS", 0, len(text), 0.75)] if "@" in text else []

    monkeypatch.setattr(kept, "find_all", look)
    return seen


def find(folder: Path, *texts: str, wanted: Wanted = WANTED) -> list[list[Found]]:
    return list(found_or_kept(texts, wanted, 1, folder))


def test_only_new_texts_are_looked_through(tmp_path: Path, looked_at: list[str]) -> None:
    first = find(tmp_path, "a@b.org", "none")
    assert first == [[Found("EMAIL_ADDRESS", 0, 7, 0.75)], []]
    again = find(tmp_path, "new", "a@b.org", "none", "c@d.org")
    assert again == [[], first[0], [], [Found("EMAIL_ADDRESS", 0, 7, 0.75)]]
    assert looked_at == ["a@b.org", "none", "new", "c@d.org"]


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, looked_at: list[str]) -> None:
    with pytest.raises(RuntimeError, match="stopped"):
        find(tmp_path, "one", "two", "broken", "three")
    find(tmp_path, "one", "two", "three")
    assert looked_at == ["one", "two", "three"]


def test_another_setting_looks_again(tmp_path: Path, looked_at: list[str]) -> None:
    find(tmp_path, "a@b.org")
    find(tmp_path, "a@b.org", wanted=replace(WANTED, score_threshold=0.6))
    assert looked_at == ["a@b.org", "a@b.org"]


def test_another_version_of_a_package_and_other_code_look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = maker(WANTED)
    assert maker(replace(WANTED, entities=frozenset(sorted(WANTED.entities, reverse=True)))) == before
    monkeypatch.setattr(kept, "version", lambda name: "0.0.1" if name == "presidio-analyzer" else "1")
    other = maker(WANTED)
    assert other != before
    monkeypatch.setattr(kept, "sources_sha256", lambda *_: "other")
    assert maker(WANTED) not in (before, other)


def test_no_text_is_kept(tmp_path: Path, looked_at: list[str]) -> None:
    find(tmp_path, "secret@person.org")
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"EMAIL_ADDRESS" in written
    assert b"secret" not in written
    assert b"person" not in written


def test_what_is_damaged_is_looked_for_again(tmp_path: Path, looked_at: list[str]) -> None:
    find(tmp_path, "a@b.org")
    (file,) = tmp_path.glob("*.sqlite")
    file.write_bytes(b"no database" * 100)
    assert find(tmp_path, "a@b.org") == [[Found("EMAIL_ADDRESS", 0, 7, 0.75)]]
    assert looked_at == ["a@b.org", "a@b.org"]
