"""The bytes of a file as they were before gzip or Zstandard compressed it."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from evalsuite.core.errors import UsageError

GZIP = b"\x1f\x8b"
ZSTANDARD = b"\x28\xb5\x2f\xfd"


class Unzipped(NamedTuple):
    """A file that is being read."""

    stream: BinaryIO
    """Reads forward; not every stream can go back."""
    compression: str
    """``gzip`` or ``Zstandard``; empty where the file is not compressed."""


@contextmanager
def unzipped(path: Path, name: str) -> Iterator[Unzipped]:
    """Open a file; its first bytes tell the compression, not its name.

    Args:
        path: The file.
        name: Its name in messages.

    Raises:
        UsageError: While it is read, the compressed file turns out to be damaged or cut short.
    """
    compression = ""
    try:
        with path.open("rb") as plain:
            magic = plain.read(len(ZSTANDARD))
            plain.seek(0)
            if magic.startswith(GZIP):
                compression = "gzip"
                yield Unzipped(cast(BinaryIO, gzip.GzipFile(fileobj=plain)), compression)
            elif magic == ZSTANDARD:
                compression = "Zstandard"
                yield Unzipped(_zstandard(plain), compression)
            else:
                yield Unzipped(plain, compression)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damaged(name, compression, error) from None
    except OSError as error:
        if compression != "Zstandard" or error.errno is not None:
            raise
        raise _damaged(name, compression, error) from None


def _zstandard(plain: BinaryIO) -> BinaryIO:
    """By pyarrow: the package zstandard (0.25) takes a file that was cut short for a whole one, and says nothing."""
    import pyarrow

    return cast(BinaryIO, io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(plain), "zstd")))


def _damaged(name: str, compression: str, error: Exception) -> UsageError:
    return UsageError(
        f"prepare.sources: {name} is a damaged {compression} file ({error}): it was cut short or changed after it was "
        "written; restore it from its origin"
    )
