"""Files that are not read: what they are by their first bytes, and the command that makes rows of them."""

import codecs
import re
import shlex
from typing import NamedTuple, NoReturn

from evalsuite.core.errors import UsageError

EXPECTED = "expected JSON, CSV, Parquet or Arrow, texts in UTF-8"


class Foreign(NamedTuple):
    """A file that is not read."""

    what: str
    command: str | None = None
    """With SOURCE, and with TARGET or FOLDER where it writes; None where no command is known that makes rows."""


def recoded(encoding: str) -> Foreign:
    """A text in another encoding."""
    return Foreign(f"{encoding} text", f"iconv -f {encoding} -t UTF-8 SOURCE > TARGET")


SIGNATURES: tuple[tuple[bytes, Foreign], ...] = (
    (codecs.BOM_UTF32_LE, recoded("UTF-32")),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, recoded("UTF-32")),
    (codecs.BOM_UTF16_LE, recoded("UTF-16")),
    (codecs.BOM_UTF16_BE, recoded("UTF-16")),
    (b"PK\x03\x04", Foreign("a ZIP archive or a spreadsheet", "unzip SOURCE -d FOLDER")),
    (b"\xfd7zXZ\x00", Foreign("compressed by xz", "xz -dc SOURCE > TARGET")),
    (b"BZh", Foreign("compressed by bzip2", "bzip2 -dc SOURCE > TARGET")),
    (b"7z\xbc\xaf\x27\x1c", Foreign("a 7-Zip archive", "7z x SOURCE -oFOLDER")),
    (b"version https://git-lfs", Foreign("a pointer of Git LFS, not the rows", "git lfs pull --include SOURCE")),
    (b"SQLite format 3\x00", Foreign("an SQLite database")),
    (b"%PDF", Foreign("a PDF")),
    (b"\x80\x04\x95", Foreign("a Python pickle")),
)
"""First bytes, and what such a file is."""


def foreign_of(head: bytes) -> Foreign | None:
    """What a file is by its first bytes, unzipped; None where it may be one that is read."""
    for magic, foreign in SIGNATURES:
        if head.startswith(magic):
            return foreign
    if head[257:262] == b"ustar":
        return Foreign("a tar archive", "tar -xf SOURCE -C FOLDER")
    if re.match(rb"[{\[]\x00|\x00[{\[]|[\w\" ]\x00[\w\", ]\x00|\x00[\w\" ]\x00[\w\", ]", head):
        return recoded("UTF-16LE" if head[1:2] == b"\x00" else "UTF-16BE")
    text = head.decode("utf-8-sig", "replace").lstrip()
    if re.match(r"<(!doctype|html)", text, re.IGNORECASE):
        return Foreign("an HTML page, not the rows; download the file itself")
    return None


def refuse(foreign: Foreign, name: str, compression: str = "") -> NoReturn:
    """Name what a file is and the command that makes rows of it.

    Raises:
        UsageError: Always.
    """
    folder, _, file = name.rpartition("/")
    stem = file.split(".")[0] or "rows"
    above = f"{folder}/" if folder else ""
    where = f"prepare.sources: {name}"
    if compression and not foreign.what.startswith("a tar"):
        suffix, program = (".gz", "gunzip -c") if compression == "gzip" else (".zst", "zstd -dc")
        plain = file.removesuffix(suffix) if file.endswith(suffix) else f"{stem}.unzipped"
        command = f"{program} {shlex.quote(name)} > {shlex.quote(above + plain)}"
        raise UsageError(
            f"{where} is, inside {compression}, {foreign.what}; {EXPECTED}: run `{command}`, then name {above + plain}"
        )
    if foreign.command is None:
        raise UsageError(f"{where} is {foreign.what}; {EXPECTED}")
    command = written(foreign.command, name)
    then = "run the stage again"
    if "TARGET" in foreign.command:
        then = f"name {target_of(name)} in prepare.sources"
    elif "FOLDER" in foreign.command:
        then = "name its files in prepare.sources"
    raise UsageError(f"{where} is {foreign.what}; {EXPECTED}: run `{command}`, then {then}")


def target_of(name: str) -> str:
    """A new file beside ``name``, for what a command makes of it."""
    folder, _, file = name.rpartition("/")
    stem, _, endings = file.partition(".")
    stem = stem or "rows"
    kept = next((f".{each}" for each in ("jsonl", "json", "csv", "tsv") if each in endings.split(".")), ".jsonl")
    target = f"{stem}{kept}" if file != f"{stem}{kept}" else f"{stem}.converted{kept}"
    return f"{folder}/{target}" if folder else target


def written(command: str, name: str) -> str:
    """A command for the shell."""
    values = {"SOURCE": name, "TARGET": target_of(name), "FOLDER": name.rpartition("/")[0] or "."}
    return re.sub("SOURCE|TARGET|FOLDER", lambda found: shlex.quote(values[found[0]]), command)


def not_utf8(raw: bytes, error: UnicodeDecodeError) -> str:
    """Why bytes are no text; with the letter that they would be in the encoding of most such files."""
    place = error.start
    letter = raw[place : place + 1].decode("cp1252", "replace")
    as_windows = f", {letter!r} in Windows-1252" if letter.isalpha() else ""
    return f"not UTF-8 at byte {place} (0x{raw[place]:02x}{as_windows})"


def recoding_advice(name: str) -> str:
    """What to do with a file whose texts are in an encoding of one byte a letter."""
    command = written("iconv -f WINDOWS-1252 -t UTF-8 SOURCE > TARGET", name)
    return f"where it was written as Latin-1 or Windows-1252, run `{command}` and name {target_of(name)}"
