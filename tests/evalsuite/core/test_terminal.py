"""Whatever the encoding is and whoever reads: nothing breaks, and no mark turns into another."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.core.terminal import ON_STREAMS, mark, printable

ROOT = Path(__file__).parents[3]
ENCODINGS = ("ascii", "latin-1", "cp1252", "koi8-r", "utf-8")
PRINT = "from evalsuite.core.terminal import make_streams_safe; make_streams_safe(); print({text!r}); print(7 * 6)"


@given(text=st.text(), encoding=st.sampled_from(ENCODINGS))
def test_any_text_can_be_printed_in_any_encoding(text: str, encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=ON_STREAMS, newline="")
    stream.write(text)
    stream.flush()
    shown = stream.buffer.getvalue().decode(encoding)
    assert "?" not in text or "?" in shown
    assert shown.count("?") == text.count("?")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\N{MINUS SIGN}0.02 \N{PLUS-MINUS SIGN} 0.01", "-0.02 +/- 0.01"),
        ("\N{MATHEMATICAL LEFT ANGLE BRACKET}U+202E\N{MATHEMATICAL RIGHT ANGLE BRACKET}", "<U+202E>"),
        ("proj\u00e9ct \u2713 \udc80", "proj\\xe9ct \\u2713 \\udc80"),
    ],
)
def test_a_sign_becomes_what_says_the_same_and_a_users_letter_its_escape(text: str, shown: str) -> None:
    assert text.encode("ascii", ON_STREAMS).decode("ascii") == shown


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "ok"), ("latin-1", "ok"), ("utf-8", "\u2713")])
def test_a_mark_is_letters_where_the_terminal_has_no_such_sign(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert mark("\u2713", "ok") == shown
    assert printable("\u2713") == ("\u2713" if encoding == "utf-8" else "\\u2713")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_is_gone_changes_neither_the_work_nor_the_exit_code(tmp_path: Path, unbuffered: str) -> None:
    code = PRINT.format(text="x" * 100_000) + f"; open({str(tmp_path / 'made')!r}, 'w').close(); raise SystemExit(3)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate()
    assert (process.returncode, said, (tmp_path / "made").is_file()) == (3, b"", True)


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_stream_that_was_closed_before_the_start_is_no_error(closed: str) -> None:
    code = f"import sys; sys.{closed} = None; {PRINT.format(text='x')}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "" if closed == "stdout" else "x\n42\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_said_once() -> None:
    with Path("/dev/full").open("w") as full:
        code = PRINT.format(text="x") + "; sys.stdout.flush()"
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; {code}"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.count("No space left on device") == 1


@pytest.mark.parametrize(
    "locale",
    [
        {"PYTHONUTF8": "0", "LC_ALL": "C"},
        {"PYTHONIOENCODING": "ascii", "LC_ALL": "POSIX"},
        {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LANG": "C"},
    ],
    ids=str,
)
def test_files_are_utf_8_in_any_locale_and_the_terminal_keeps_its_encoding(
    tmp_path: Path, locale: dict[str, str]
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom evalsuite.core.terminal import own_encoding\nown_encoding()\n"
        "open(sys.argv[1], 'w').write('\\u2713')\nprint(sys.stdout.encoding, len(sys.argv))\n"
    )
    target = tmp_path / "out\u00e9.txt"
    done = subprocess.run(
        [sys.executable, str(script), str(target), "b c"],
        env={**locale, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr[-300:]) == (0, b"")
    assert target.read_bytes() == "\u2713".encode()
    assert done.stdout.lower().startswith((b"ascii", b"ansi_x3.4-1968", b"us-ascii"))
