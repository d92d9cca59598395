"""An error of the network, the disk or a permission is told apart from the others."""

import errno
import os
import socket
import sqlite3

import httpx
import pytest
import requests

from evalsuite.network.network_errors import is_disk_error, is_network_error, remedy_for, said_by


def chained() -> OSError:
    try:
        try:
            raise httpx.ConnectError("refused")
        except httpx.ConnectError as cause:
            raise OSError("cannot load") from cause
    except OSError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        ConnectionError("Couldn't reach 'TIGER-Lab/MMLU-Pro' on the Hub (LocalEntryNotFoundError)"),
        TimeoutError("timed out"),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        OSError("We couldn't connect to 'https://huggingface.co' to load the files"),
        requests.exceptions.ConnectionError("Max retries exceeded"),
        httpx.ConnectError("All connection attempts failed"),
        httpx.ReadTimeout("slow"),
        chained(),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
def test_a_network_error_is_never_answered_by_disk_space(error: Exception) -> None:
    assert is_network_error(error)
    assert "network" in remedy_for(error)
    assert "disk" not in remedy_for(error)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "free disk space"),
        (errno.EDQUOT, "free disk space"),
        (errno.EFBIG, "raise the limit on the size of files"),
        (errno.EACCES, "permissions"),
        (errno.EROFS, "permissions"),
        (errno.ENOENT, "put that file"),
        (errno.EINVAL, "correct what the message names"),
    ],
)
def test_each_other_error_has_its_own_remedy(number: int, words: str) -> None:
    error = OSError(number, os.strerror(number), "some/path")
    assert not is_network_error(error)
    assert words in remedy_for(error)


@pytest.mark.parametrize("words", ["disk I/O error", "database or disk is full", "unable to open database file"])
def test_a_database_that_the_disk_fails_is_trouble_with_the_disk(words: str) -> None:
    assert "free disk space" in remedy_for(sqlite3.OperationalError(words))
    assert not is_disk_error(sqlite3.OperationalError("no such table: answers"))


def test_a_long_message_is_one_short_line() -> None:
    assert len(said_by(OSError("x" * 5000 + "\nsecond"))) == 200
    assert said_by(OSError()) == "OSError"
