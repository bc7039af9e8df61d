"""A database to break: how it is started, read past the application, and broken."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import psutil
from servers.local_server import LocalServer

# A record's key, as the API says it.
Key = int | str

Record = Mapping[str, Any]

# How everybody else's connections are ended; it returns when they are.
Termination = Callable[[], Awaitable[None]]

# A transfer with such a number, or an account with such a name, fails when it is committed.
DOOMED = "doomed"

# For a connection to end that was told to.
STOP_SECONDS = 10.0


class Store(ABC):
    """A database, and the ways to it that are not the application's."""

    #: What it is called in the names of tests.
    name: ClassVar[str]
    #: What is answered to the questions of the template.
    answers: ClassVar[Mapping[str, str]]
    #: The module beside `served.py` that says in its words what somebody would add.
    additions: ClassVar[str]
    #: What a client is told who waits too long for the lock of somebody else.
    locked_status: ClassVar[int] = 504
    #: Whether a commit can be refused, by what was left to be checked then.
    defers: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        """Describe the database; `start` starts it."""
        self.folder = folder

    def start(self) -> None:  # noqa: B027 - a file needs neither
        """Bring it up, empty."""

    def stop(self) -> None:  # noqa: B027
        """Leave nothing of it running."""

    @property
    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The variables by which the application finds it."""

    async def doom(self) -> None:  # noqa: B027 - nothing to do where a commit refuses nothing
        """From now on, what is DOOMED can't be committed."""

    @abstractmethod
    async def records(self, of: str, **fields: Key) -> Sequence[Record]:
        """What is there of a kind, as in "accounts", with these values: all of its fields."""

    @abstractmethod
    async def labels(self, accounts: Sequence[Key]) -> Mapping[Key, frozenset[Key]]:
        """The labels on each of these accounts."""

    @abstractmethod
    def locking(self, of: str, key: Key) -> AbstractAsyncContextManager[None]:
        """Hold the lock of a record, until the block ends."""


class Server(Store):
    """A database with a server of its own, over connections."""

    #: What a client is told when the server is there, and says nothing.
    silence: ClassVar[tuple[int, str]] = (503, "database-unavailable")
    #: Whether a transaction whose connection is lost begins anew, and its commit is asked for
    #: until somebody answers. Else the client is told.
    begins_anew: ClassVar[bool] = False

    _server: LocalServer

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def crash(self) -> None:
        """Kill the server, and start it again as it would be after a crash."""
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.restart()

    @abstractmethod
    def processes(self) -> list[psutil.Process]:
        """Those that serve the application, the one that makes the others first."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        url = urlsplit(self._server.url)
        return str(url.hostname), int(url.port or 0)

    @abstractmethod
    def through(self, port: int) -> AbstractContextManager[str]:
        """The URL for an application that reaches the server by way of a port of this machine."""

    @abstractmethod
    def terminable(self) -> AbstractAsyncContextManager[tuple[dict[str, str], Termination]]:
        """The settings of an application whose connections can be ended, and what ends them."""

    @abstractmethod
    def full(self) -> AbstractAsyncContextManager[None]:
        """A server that has given all its connections to others, until the block ends."""

    async def let_go(self) -> None:
        """Wait until the server holds nothing for connections that it has lost."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A server that hangs: it is there, and does not answer."""
        processes = self.processes()
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()
