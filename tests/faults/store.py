"""The interface to a database: start it, read it bypassing the application, and break it."""

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

# A record's key, as the API returns it.
Key = int | str

Record = Mapping[str, Any]

# Ends all other connections, and returns when they are closed.
Termination = Callable[[], Awaitable[None]]

# A transfer or an account whose number or name starts with this fails on commit.
DOOMED = "doomed"

# The time limit for terminated connections to close.
STOP_SECONDS = 10.0


class Store(ABC):
    """A database, accessed independently of the application."""

    #: Its name in test ids.
    name: ClassVar[str]
    #: The answers to the questions of the template.
    answers: ClassVar[Mapping[str, str]]
    #: The module beside `served.py` with the custom code for this database.
    additions: ClassVar[str]
    #: The status of a request that waits too long for a lock.
    locked_status: ClassVar[int] = 504
    #: Whether a commit can be rejected by a deferred constraint.
    defers_constraints: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        """Describe the database; `start` starts it."""
        self.folder = folder

    def start(self) -> None:  # noqa: B027 - a file needs neither
        """Start the database, empty."""

    def stop(self) -> None:  # noqa: B027
        """Stop all processes of the database."""

    @property
    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The environment variables with the address of the database."""

    async def doom(self) -> None:  # noqa: B027 - nothing to do without deferred constraints
        """Make every commit with a DOOMED record fail from now on."""

    @abstractmethod
    async def records(self, of: str, **fields: Key) -> Sequence[Record]:
        """Return all records of a kind, such as "accounts", whose fields have these values."""

    @abstractmethod
    async def labels(self, accounts: Sequence[Key]) -> Mapping[Key, frozenset[Key]]:
        """Return the labels of each of these accounts."""

    @abstractmethod
    def locking(self, of: str, key: Key) -> AbstractAsyncContextManager[None]:
        """Hold the lock of a record during the block."""


class Server(Store):
    """A database with a server process."""

    #: The status and error of a request while the server hangs.
    hang_error: ClassVar[tuple[int, str]] = (503, "database-unavailable")
    #: Whether a transaction is replayed after its connection is lost, and its commit is retried.
    #: Otherwise the client receives an error.
    replays_transactions: ClassVar[bool] = False

    _server: LocalServer

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def crash(self) -> None:
        """Kill the server and start it again, as after a crash."""
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.restart()

    @abstractmethod
    def processes(self) -> list[psutil.Process]:
        """Return the server's processes, the parent first."""

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that the server listens on."""
        url = urlsplit(self._server.url)
        return str(url.hostname), int(url.port or 0)

    @abstractmethod
    def through(self, port: int) -> AbstractContextManager[str]:
        """Return a URL that reaches the server through another port of this machine."""

    @abstractmethod
    def terminable(self) -> AbstractAsyncContextManager[tuple[dict[str, str], Termination]]:
        """Return settings for an application, and a function that ends its connections."""

    @abstractmethod
    def full(self) -> AbstractAsyncContextManager[None]:
        """Occupy all connections of the server during the block."""

    async def wait_for_release(self) -> None:
        """Wait until the server has released the resources of lost connections."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Suspend the server during the block: it runs, but does not respond."""
        processes = self.processes()
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()
