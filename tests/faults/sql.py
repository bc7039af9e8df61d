"""The SQL databases: how to start, read and break each of them."""

from __future__ import annotations

import asyncio
import sqlite3
from abc import abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
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

from tests.faults.store import (
    DOOMED,
    STOP_SECONDS,
    Key,
    Record,
    Server,
    Store,
    Termination,
)
from tests.pooler import DIRECT, POOLED, PgBouncer, issue_certificate

TOO_MANY_CONNECTIONS = 1040

# Lets a pooler reconnect soon after its server rejected it.
QUICK_RETRY = "server_login_retry = 0.2\n"


class ServerFullError(Exception):
    """The server has no connection left."""


class Tables(Store):
    """A SQL database."""

    additions = "additions_sql"
    #: The statements of `doom`; none without deferred constraints.
    doom_statements: ClassVar[Sequence[str]] = ()

    @abstractmethod
    async def rows(self, *statements: str) -> Sequence[Record]:
        """Run statements on a new connection in autocommit, and return the rows of the last."""

    async def doom(self) -> None:
        await self.rows(*self.doom_statements, "SELECT 1")

    async def records(self, of: str, **fields: Key) -> Sequence[Record]:
        wanted = "".join(f" AND {name} = {value}" for name, value in fields.items())
        return await self.rows(f"SELECT * FROM {of} WHERE 1 = 1{wanted}")

    async def labels(self, accounts: Sequence[Key]) -> Mapping[Key, frozenset[Key]]:
        keys = ", ".join(map(str, accounts))
        links = await self.rows(f"SELECT * FROM account_labels WHERE account_id IN ({keys})")
        found: dict[Key, set[Key]] = defaultdict(set)
        for link in links:
            found[link["account_id"]].add(link["label_id"])
        return {key: frozenset(found[key]) for key in accounts}


class TableServer(Tables, Server):
    """A SQL database whose server can terminate connections."""

    @abstractmethod
    async def terminate(self) -> None:
        """Terminate all other connections, and return when they are closed."""

    @asynccontextmanager
    async def terminable(self) -> AsyncIterator[tuple[dict[str, str], Termination]]:
        yield {}, self.terminate

    @abstractmethod
    def connected(self) -> AbstractAsyncContextManager[Any]:
        """Open a separate connection.

        Raises:
            ServerFullError: The server has no connection left.
        """

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            with suppress(ServerFullError):
                while True:
                    await stack.enter_async_context(self.connected())
            yield


class PostgreSQL(TableServer):
    """PostgreSQL without a pooler."""

    name = "postgresql"
    answers: ClassVar[Mapping[str, str]] = {"database": "postgresql"}
    defers_constraints = True
    doom_statements = (
        "CREATE FUNCTION doom() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE foreign_key_violation; END $$",
        "CREATE CONSTRAINT TRIGGER doom AFTER INSERT ON accounts DEFERRABLE INITIALLY DEFERRED "
        f"FOR EACH ROW WHEN (NEW.name LIKE '{DOOMED}%') EXECUTE FUNCTION doom()",
        "CREATE CONSTRAINT TRIGGER doom AFTER INSERT ON receipts DEFERRABLE INITIALLY DEFERRED "
        f"FOR EACH ROW WHEN (NEW.number LIKE '{DOOMED}%') EXECUTE FUNCTION doom()",
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Commits must survive a crash of the server, but not of the machine.
        settings = {"deadlock_timeout": "50ms", "synchronous_commit": "on", "max_connections": "40"}
        self._server = LocalPostgres(settings=settings)

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self._server.url}

    async def rows(self, *statements: str) -> Sequence[Record]:
        async with self.connected() as connection:
            found: list[list[Record]] = [
                await connection.fetch(statement) for statement in statements
            ]
            return found[-1]

    @asynccontextmanager
    async def locking(self, of: str, key: Key) -> AsyncIterator[None]:
        async with self.connected() as connection, connection.transaction():
            await connection.execute(f"SELECT 1 FROM {of} WHERE id = {key} FOR UPDATE")
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
    """PostgreSQL behind TLS and a pooler, which runs each transaction on one of few backends."""

    name = "neon"
    answers: ClassVar[Mapping[str, str]] = {"database": "neon"}
    # While the pooler waits for its server, its clients wait too.
    hang_error = (504, "statement-timeout")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # The pooler does not run as root.
        folder.chmod(0o711)
        self._pooler = folder / "pooler"
        self._pooler.mkdir()

    def start(self) -> None:
        super().start()
        issue_certificate(self._pooler)
        self._pooled = PgBouncer(self._server.url, self._pooler, POOLED + QUICK_RETRY)
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
        # A rejected pooler rejects its clients until it reconnects to the server.
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
            pooled = PgBouncer(url, self._pooler, POOLED + QUICK_RETRY)
            pooled.start()
            try:
                yield pooled.url
            finally:
                pooled.stop()


class MariaDB(TableServer):
    """MariaDB, which also represents MySQL."""

    name = "mysql"
    answers: ClassVar[Mapping[str, str]] = {"database": "mysql"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = LocalMariaDB(settings={"max-connections": "40"})

    def start(self) -> None:
        super().start()
        with closing(self._connect(None)) as connection:
            connection.cursor().execute("CREATE DATABASE bank CHARACTER SET utf8mb4")

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": urlsplit(self._server.url)._replace(path="/bank").geturl()}

    async def rows(self, *statements: str) -> Sequence[Record]:
        async with self.connected() as connection:
            cursor = connection.cursor(pymysql.cursors.DictCursor)
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    @asynccontextmanager
    async def locking(self, of: str, key: Key) -> AsyncIterator[None]:
        async with self.connected() as connection:
            connection.begin()
            connection.cursor().execute(f"SELECT 1 FROM {of} WHERE id = {key} FOR UPDATE")
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
            # Killed connections take some time to close.
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


class SQLite(Tables):
    """A SQLite file. There is no server to kill, only the application."""

    name = "sqlite"
    answers: ClassVar[Mapping[str, str]] = {"database": "sqlite"}
    locked_status = 409
    defers_constraints = True
    doom_statements = (
        "CREATE TABLE no_rows (id INTEGER PRIMARY KEY)",
        "CREATE TABLE doom (of INTEGER REFERENCES no_rows DEFERRABLE INITIALLY DEFERRED)",
        f"CREATE TRIGGER doom_account AFTER INSERT ON accounts WHEN NEW.name LIKE '{DOOMED}%' "
        "BEGIN INSERT INTO doom VALUES (1); END",
        f"CREATE TRIGGER doom_receipt AFTER INSERT ON receipts WHEN NEW.number LIKE '{DOOMED}%' "
        "BEGIN INSERT INTO doom VALUES (1); END",
    )

    @property
    def file(self) -> Path:
        """The database file. Its write-ahead log and shared memory are beside it."""
        return self.folder / "bank.db"

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": f"sqlite:///{self.file}"}

    async def rows(self, *statements: str) -> Sequence[Record]:
        return await asyncio.to_thread(self._rows, statements)

    def _rows(self, statements: Sequence[str]) -> Sequence[Record]:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.row_factory = _as_mapping
            return [connection.execute(statement).fetchall() for statement in statements][-1]

    @asynccontextmanager
    async def locking(self, of: str, key: Key) -> AsyncIterator[None]:
        # There is one lock for the whole file.
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield


def _as_mapping(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Record:
    return {name: value for (name, *_), value in zip(cursor.description, row, strict=True)}
