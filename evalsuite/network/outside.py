"""What suites read that is no part of the project: models, datasets of a hub, servers, programs, packages.

A suite says once what it is; from that follow what has to be there before anything is spent (``need``), and what DVC
must see change (the stage ``inputs`` hashes it).
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from evalsuite.core.credentials import without_credentials
from evalsuite.core.errors import StageError, UsageError
from evalsuite.network.hub import HubRepo, RepoKind, address, check_commit, fetched, here, reach
from evalsuite.network.model_source import resolve_model
from evalsuite.network.network_errors import is_network_error, said_by

SERVER_SECONDS = 5.0
"""Timeout of a connection to a server that later stages need."""
NO_ENTRY = frozenset({401, 403})


class Need(NamedTuple):
    """One thing that has to be on this machine, or to answer from elsewhere, before a stage starts."""

    key: str
    """The line of params.yaml that names it."""
    what: str
    """What it is, and from where."""
    is_here: Callable[[], bool]
    """Whether it is on this machine; asks no network."""
    prove: Callable[[], object]
    """Asks once whether it can be had; raises where it cannot."""
    bring: Callable[[], object]
    """Brings it here where that is possible; raises where it cannot be fetched."""
    is_server: bool = False
    """It answers from where it is, and is never here."""


class Outside(Protocol):
    """One thing from outside the project."""

    def need(self) -> Need | None:
        """What has to be had of it; None where nothing is asked of anyone.

        Raises:
            UsageError: It is not pinned, or no such thing can be.
        """


@dataclass(frozen=True)
class Package:
    """An installed distribution whose code makes scores."""

    name: str

    def need(self) -> None:
        """None: the lock installs it."""


@dataclass(frozen=True)
class ContentFile:
    """A file beside the project's own."""

    key: str
    path: str

    def need(self) -> None:
        """None: its reader says where it is missing."""


@dataclass(frozen=True)
class Model:
    """A model by folder, ``package:NAME`` or hub id."""

    key: str
    name: str
    revision: str | None
    revision_key: str
    """Where params.yaml names the commit of a hub id."""
    remedy: str
    """What else helps where the hub does not answer."""

    def need(self) -> Need | None:
        """A hub's repository at its commit; None for what lies here."""
        if resolve_model(self.name).folder is not None:
            return None
        commit = check_commit(self.key, self.name, self.revision, self.revision_key)
        return Repository(self.key, HubRepo(RepoKind.MODEL, self.name, commit), self.remedy).need()


@dataclass(frozen=True)
class Repository:
    """A repository of a hub at one commit."""

    key: str
    repo: HubRepo
    remedy: str

    def need(self) -> Need:
        """All of it, on this machine."""
        return Need(
            self.key,
            f"{self.repo}, from {address()}",
            lambda: here(self.repo) is not None,
            lambda: reach(self.repo, self.key, self.remedy),
            lambda: fetched(self.repo, self.key, self.remedy),
        )


@dataclass(frozen=True)
class Program:
    """A program on the path."""

    key: str
    value: str
    """What params.yaml says there."""
    name: str
    remedy: str

    def need(self) -> Need:
        """That it is installed."""
        return Need(self.key, f"the program {self.name}", self._is_here, self._refuse, self._refuse)

    def _is_here(self) -> bool:
        return shutil.which(self.name) is not None

    def _refuse(self) -> None:
        if not self._is_here():
            raise UsageError(f"{self.key} = {self.value}: no program {self.name!r} here; {self.remedy}")


@dataclass(frozen=True)
class Server:
    """An OpenAI-compatible server."""

    key: str
    url: str
    key_variable: str
    """Environment variable that holds its API key."""
    remedy: str

    def need(self) -> Need:
        """That it answers, and lets us in."""
        return Need(
            self.key,
            f"a server at {without_credentials(self.url)}",
            lambda: False,
            self._answer,
            self._answer,
            is_server=True,
        )

    def _answer(self) -> None:
        import httpx

        shown = without_credentials(self.url)
        secret = os.environ.get(self.key_variable, "")
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        local = httpx.URL(self.url).host in ("127.0.0.1", "localhost", "::1")
        try:
            with httpx.Client(headers=headers, timeout=SERVER_SECONDS, trust_env=not local) as client:
                code = client.get(f"{self.url.rstrip('/')}/models").status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            if isinstance(error, httpx.InvalidURL) or not is_network_error(error):
                raise UsageError(
                    f"{self.key} = {shown!r} is not a server address ({said_by(error)}); {self.remedy}"
                ) from None
            raise StageError(
                f"{self.key}: the server {shown} does not answer ({said_by(error)}): {self.remedy}"
            ) from None
        if code in NO_ENTRY:
            raise UsageError(
                f"{self.key}: the server {shown} answers {code}: check the key in {self.key_variable}, or {self.remedy}"
            )
