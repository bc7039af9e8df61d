"""The databases to break: how each is started, read past the application, and broken."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
    suppress,
)
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import asyncpg
import psutil
import pymysql
from servers.local_mariadb import LocalMariaDB
from servers.local_postgres import LocalPostgres
from servers.local_server import LocalServer

from tests.pooler import DIRECT, POOLED, PgBouncer, issue_certificate

# A transfer with such a number, or an account with such a name, fails when it is committed.
DOOMED = "doomed"

Row = Sequence[Any]

TOO_MANY_CONNECTIONS = 1040

# A pooler that was refused by its server asks again soon.
IMPATIENT = "server_login_retry = 0.2\n"

# For a connection to end that was told to.
STOP_SECONDS = 10.0


class ServerFullError(Exception):
    """There is no connection left."""


class Store(ABC):
    """A database, and the ways to it that are not the application's."""

    #: What is answered to the question `database`.
    answer: ClassVar[str]
    #: What a client is told whose statement waits too long for the lock of somebody else.
    locked_status: ClassVar[int] = 504
    #: From then on, what is DOOMED can't be committed; empty where a commit refuses nothing.
    doom: ClassVar[Sequence[str]]

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

    @abstractmethod
    async def rows(self, *statements: str) -> list[Row]:
        """Run statements on a new connection, each by itself, and return the rows of the last."""

    @abstractmethod
    def locking(self, table: str, key: int) -> AbstractAsyncContextManager[None]:
        """Hold the lock of a row, until the block ends."""


class Server(Store):
    """A database with a server of its own, over connections."""

    #: What a client is told when the server is there, and says nothing.
    silence: ClassVar[tuple[int, str]] = (503, "database-unavailable")

    _server: LocalServer

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
    async def terminate(self) -> None:
        """End the connections of everybody else, and return when they are ended."""

    @abstractmethod
    def connected(self) -> AbstractAsyncContextManager[Any]:
        """A connection of our own.

        Raises:
            ServerFullError: there is none left.
        """

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        """A server that has given all its connections to others."""
        async with AsyncExitStack() as stack:
            with suppress(ServerFullError):
                while True:
                    await stack.enter_async_context(self.connected())
            yield

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


class PostgreSQL(Server):
    """PostgreSQL by itself."""

    answer = "postgresql"
    doom = (
        "CREATE FUNCTION doom() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE foreign_key_violation; END $$",
        "CREATE CONSTRAINT TRIGGER doom AFTER INSERT ON accounts DEFERRABLE INITIALLY DEFERRED "
        f"FOR EACH ROW WHEN (NEW.name LIKE '{DOOMED}%') EXECUTE FUNCTION doom()",
        "CREATE CONSTRAINT TRIGGER doom AFTER INSERT ON receipts DEFERRABLE INITIALLY DEFERRED "
        f"FOR EACH ROW WHEN (NEW.number LIKE '{DOOMED}%') EXECUTE FUNCTION doom()",
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # What was committed must survive the death of the server, though not of the machine.
        settings = {"deadlock_timeout": "50ms", "synchronous_commit": "on", "max_connections": "40"}
        self._server = LocalPostgres(settings=settings)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self._server.url}

    async def rows(self, *statements: str) -> list[Row]:
        async with self.connected() as connection:
            return [[*await connection.fetch(statement)] for statement in statements][-1]

    @asynccontextmanager
    async def locking(self, table: str, key: int) -> AsyncIterator[None]:
        async with self.connected() as connection, connection.transaction():
            await connection.execute(f"SELECT 1 FROM {table} WHERE id = {key} FOR UPDATE")
            yield

    @contextmanager
    def through(self, port: int) -> Iterator[str]:
        yield self._server.url.replace(f":{self.address[1]}/", f":{port}/")

    def processes(self) -> list[psutil.Process]:
        server = psutil.Process(self._server.pid)
        return [server, *server.children(recursive=True)]

    async def terminate(self) -> None:
        await self.rows(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Any]:
        try:
            connection = await asyncpg.connect(self._server.url)
        except asyncpg.TooManyConnectionsError as error:
            raise ServerFullError from error
        try:
            yield connection
        finally:
            await connection.close()


class Neon(PostgreSQL):
    """PostgreSQL behind TLS and a pooler, which passes each transaction to one of few backends."""

    answer = "neon"
    # A pooler that waits for its server keeps its clients waiting.
    silence = (504, "statement-timeout")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # The pooler is not root's.
        folder.chmod(0o711)
        self._pooler = folder / "pooler"
        self._pooler.mkdir()

    def start(self) -> None:
        super().start()
        issue_certificate(self._pooler)
        self._pooled = PgBouncer(self._server.url, self._pooler, POOLED + IMPATIENT)
        self._direct = PgBouncer(self._server.url, self._pooler, DIRECT)
        self._pooled.start()
        self._direct.start()

    def stop(self) -> None:
        self._pooled.stop()
        self._direct.stop()
        super().stop()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self._pooled.url,
            "DATABASE_URL_UNPOOLED": self._direct.url,
        }

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        async with super().full():
            yield
        # A pooler that was refused asks its server again later, and refuses until then.
        async with asyncio.timeout(STOP_SECONDS):
            while not await self._is_served():
                await asyncio.sleep(0.1)

    async def _is_served(self) -> bool:
        url = self._pooled.url.partition("?")[0]
        try:
            connection = await asyncpg.connect(url, ssl="require", statement_cache_size=0)
        except asyncpg.PostgresError:
            return False
        try:
            await connection.execute("SELECT 1")
        except asyncpg.PostgresError:
            return False
        finally:
            await connection.close()
        return True

    @contextmanager
    def through(self, port: int) -> Iterator[str]:
        with super().through(port) as url:
            pooled = PgBouncer(url, self._pooler, POOLED + IMPATIENT)
            pooled.start()
            try:
                yield pooled.url
            finally:
                pooled.stop()


class MariaDB(Server):
    """MariaDB, which stands for MySQL, too."""

    answer = "mysql"
    # Nothing is left to be refused at a commit.
    doom = ()

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = LocalMariaDB(settings={"max-connections": "40"})

    def start(self) -> None:
        self._server.start()
        with closing(self._connect(None)) as connection:
            connection.cursor().execute("CREATE DATABASE bank CHARACTER SET utf8mb4")

    def stop(self) -> None:
        self._server.stop()

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": urlsplit(self._server.url)._replace(path="/bank").geturl()}

    async def rows(self, *statements: str) -> list[Row]:
        async with self.connected() as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    @asynccontextmanager
    async def locking(self, table: str, key: int) -> AsyncIterator[None]:
        async with self.connected() as connection:
            connection.begin()
            connection.cursor().execute(f"SELECT 1 FROM {table} WHERE id = {key} FOR UPDATE")
            yield

    @contextmanager
    def through(self, port: int) -> Iterator[str]:
        yield self.environment["DATABASE_URL"].replace(f":{self.address[1]}/", f":{port}/")

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(self._server.pid)]

    async def terminate(self) -> None:
        listing = (
            "SELECT id FROM information_schema.processlist "
            "WHERE db = 'bank' AND id <> connection_id()"
        )
        async with self.connected() as connection, asyncio.timeout(STOP_SECONDS):
            cursor = connection.cursor()
            # Those that were told to end are still there for a moment.
            while cursor.execute(listing):
                for [number] in cursor.fetchall():
                    with suppress(pymysql.OperationalError):
                        cursor.execute(f"KILL {number}")
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Any]:
        with closing(self._connect("bank")) as connection:
            yield connection

    def _connect(self, database: str | None) -> Any:
        url = urlsplit(self._server.url)
        try:
            return pymysql.connect(
                host=url.hostname,
                port=url.port or 0,
                user=url.username,
                password=url.password or "",
                database=database,
                autocommit=True,
            )
        except pymysql.OperationalError as error:
            if error.args[0] == TOO_MANY_CONNECTIONS:
                raise ServerFullError from error
            raise


class SQLite(Store):
    """A file. Whoever writes it is all there is to kill."""

    answer = "sqlite"
    locked_status = 409
    doom = (
        "CREATE TABLE no_rows (id INTEGER PRIMARY KEY)",
        "CREATE TABLE doom (of INTEGER REFERENCES no_rows DEFERRABLE INITIALLY DEFERRED)",
        f"CREATE TRIGGER doom_account AFTER INSERT ON accounts WHEN NEW.name LIKE '{DOOMED}%' "
        "BEGIN INSERT INTO doom VALUES (1); END",
        f"CREATE TRIGGER doom_receipt AFTER INSERT ON receipts WHEN NEW.number LIKE '{DOOMED}%' "
        "BEGIN INSERT INTO doom VALUES (1); END",
    )

    @property
    def file(self) -> Path:
        """The database. Beside it are its log and what its users share."""
        return self.folder / "bank.db"

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": f"sqlite:///{self.file}"}

    async def rows(self, *statements: str) -> list[Row]:
        return await asyncio.to_thread(self._rows, statements)

    def _rows(self, statements: Sequence[str]) -> list[Row]:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            return [connection.execute(statement).fetchall() for statement in statements][-1]

    @asynccontextmanager
    async def locking(self, table: str, key: int) -> AsyncIterator[None]:
        # There is one lock, for all of the file.
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield


SERVERS: list[type[Server]] = [PostgreSQL, Neon, MariaDB]
STORES: list[type[Store]] = [*SERVERS, SQLite]

# Those whose commits can be refused.
DEFERRING: list[type[Store]] = [kind for kind in STORES if kind.doom]
