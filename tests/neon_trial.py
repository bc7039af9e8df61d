"""One scenario of a Neon project, in a separate process.

    python neon_trial.py SCENARIO POOLED DIRECT

Run it in the folder of a project with the default model, on a migrated database. POOLED and DIRECT
are the database's URLs through the pooler and without it. SCENARIO is the name of a function here.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from acme.database import Database, SyncDatabase
from acme.database.scope import unscoped
from acme.errors import DatabaseUnavailable, DataLayerError, StatementTimeout
from acme.repositories import TagRepository, TaskRepository, UserRepository
from acme.schemas import TagCreate, TaskCreate, TaskUpdate, UserCreate
from acme.settings import DatabaseSettings
from sqlalchemy import text

TASKS = 50
BACKENDS = 5
ROWS = 20

SLEEPING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"
)
CONNECTED = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'acme' AND pid <> pg_backend_pid()"
)
# Terminates all connections except the current one.
KILL = text(str(CONNECTED).replace("count(*)", "count(pg_terminate_backend(pid))"))
STATE = text(
    "SELECT current_setting('statement_timeout'), "
    "current_setting('idle_in_transaction_session_timeout'), "
    "(SELECT count(*) FROM pg_prepared_statements), pg_sleep(0.05)"
)

Opening = Callable[[Database], AbstractAsyncContextManager[Any]]
EITHER: tuple[Opening, Opening] = (Database.reading, Database.transaction)


@asynccontextmanager
async def connected(url: str, **settings: Any) -> AsyncIterator[Database]:
    """Connect to the database at a URL."""
    database = Database(DatabaseSettings(database_url=url, **settings))
    try:
        yield database
    finally:
        await database.close()


async def first_value(database: Database, statement: Any) -> Any:
    """Return the first value of the result."""
    async with database.reading() as session:
        return (await session.run(statement)).scalar()


async def share(pooled: str, direct: str) -> None:
    """Run many tasks on few connections: each reads all of its own rows, and no others."""
    async with connected(pooled, database_pool_size=TASKS) as database:
        async with database.transaction() as session:
            tags = [await TagRepository(session).create(TagCreate(name=n)) for n in ("a", "b")]
        keys = [tag.id for tag in tags]
        await asyncio.gather(*(work(database, number, keys) for number in range(TASKS)))
        async with connected(direct) as unpooled:
            assert 1 <= await first_value(unpooled, CONNECTED) <= BACKENDS
        rows = await first_value(database, unscoped(text("SELECT count(*) FROM tasks")))
        links = await first_value(database, text("SELECT count(*) FROM task_tags"))
        assert (rows, links) == (TASKS * ROWS, TASKS * len(keys))
        found = await asyncio.gather(*(remaining_state(database) for _ in range(TASKS)))
        assert set(found) == {("0", "0", 0)}, found


async def work(database: Database, number: int, tags: list[Any]) -> None:
    """Run one task: write by COPY and by statements, roll some of it back, and read the rest."""
    email = f"user{number}@example.com"
    async with database.transaction() as session:
        user = await UserRepository(session).create(
            UserCreate(email=email, full_name=f"User {number}")
        )
    async with database.transaction() as session:
        mine = TaskRepository(session, owner=user.id)
        keys = await mine.create_many([TaskCreate(title=f"{number}.{n}") for n in range(ROWS)])
    async with database.transaction() as session:
        mine = TaskRepository(session, owner=user.id)
        changed = await mine.update(keys[0], TaskUpdate(title=f"{number}.new"), version=1)
        await mine.link(keys[0], "tags", tags)
    with suppress(ZeroDivisionError):
        async with database.transaction() as session:
            await TaskRepository(session, owner=user.id).update_many(keys, TaskUpdate(priority=5))
            raise ZeroDivisionError
    for seconds in (0.001, 0.01, 0.1):
        await cancel(insert_and_wait(database, user.id), after=seconds)
    async with database.reading() as session:
        theirs = TaskRepository(session, owner=user.id)
        page = await theirs.page(limit=100, include=["tags"])
        assert [row.title for row in page.items].count(changed.title) == 1
        assert {row.title for row in page.items} == {
            f"{number}.new",
            *(f"{number}.{n}" for n in range(1, ROWS)),
        }
        assert {row.priority for row in page.items} == {1}
        assert [len(row.tags) for row in page.items if row.id == keys[0]] == [len(tags)]
        assert (await theirs.get(keys[1])).title == f"{number}.1"


async def insert_and_wait(database: Database, owner: Any) -> None:
    async with database.transaction() as session:
        await TaskRepository(session, owner=owner).create(TaskCreate(title="cancelled"))
        await session.run(text("SELECT pg_sleep(30)"))


async def cancel(work: Awaitable[None], *, after: float) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.sleep(after)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def remaining_state(database: Database) -> tuple[Any, ...]:
    """Return the state that earlier users of a pooled connection left on it."""
    async with database.reading() as session:
        return tuple((await session.run(STATE)).one())[:3]


async def limit(pooled: str, direct: str) -> None:
    """Stop slow statements here and on the server, and end idle transactions."""
    async with (
        connected(pooled, database_statement_timeout=0.3) as hasty,
        connected(direct) as unpooled,
    ):
        for opened in EITHER:
            started = time.monotonic()
            try:
                async with opened(hasty) as session:
                    await session.run(text("SELECT pg_sleep(60)"))
            except StatementTimeout:
                assert time.monotonic() - started < 5
            else:
                raise AssertionError("the statement was not stopped")
            assert await becomes(unpooled, SLEEPING, 0)
        try:
            async with hasty.transaction() as session:
                await session.run(text("SELECT 1"))
                await asyncio.sleep(1)
                await session.run(text("SELECT 1"))
        except DatabaseUnavailable:
            return
        raise AssertionError("the idle transaction was not ended")


async def stop(pooled: str, direct: str) -> None:
    """Cancel tasks: their statements stop on the server."""
    async with connected(pooled) as database, connected(direct) as unpooled:
        for opened in EITHER:

            async def wait(opened: Opening = opened) -> None:
                async with opened(database) as session:
                    await session.run(text("SELECT pg_sleep(60)"))

            tasks = [asyncio.create_task(wait()) for _ in range(BACKENDS)]
            assert await becomes(unpooled, SLEEPING, BACKENDS)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert await becomes(unpooled, SLEEPING, 0)
            assert await first_value(database, text("SELECT 1")) == 1


async def becomes(database: Database, query: Any, expected: int) -> bool:
    """Whether a query returns the expected value within ten seconds."""
    deadline = time.monotonic() + 60
    while await first_value(database, query) != expected:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


async def survive(pooled: str, direct: str) -> None:
    """Count while connections are lost: acknowledged commits are stored, and none partially.

    Runs until standard input ends. Prints the numbers of acknowledged and of failed commits.
    """
    async with connected(pooled, database_pool_size=10) as database:
        async with database.transaction() as session:
            await session.run(text("CREATE TABLE counts (id int PRIMARY KEY, value int NOT NULL)"))
            await session.run(text("INSERT INTO counts SELECT n, 0 FROM generate_series(1, 10) n"))
        done: Counter[int] = Counter()
        unknown: Counter[int] = Counter()
        enough = asyncio.Event()
        tasks = [
            asyncio.create_task(count_up(database, n, done, unknown, enough)) for n in range(1, 11)
        ]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        enough.set()
        await asyncio.gather(*tasks)
        async with database.reading() as session:
            rows = (await session.run(text("SELECT id, value FROM counts"))).all()
        for key, value in rows:
            # A commit whose response was lost may have happened, and then it is complete.
            assert done[key] <= value <= done[key] + unknown[key], (key, value, done, unknown)
        print(done.total(), unknown.total())


async def count_up(
    database: Database,
    key: int,
    done: Counter[int],
    unknown: Counter[int],
    enough: asyncio.Event,
) -> None:
    add = text("UPDATE counts SET value = value + 1 WHERE id = :key")
    echo = text("SELECT CAST(:key AS int)")
    while not enough.is_set():
        try:
            async with database.transaction() as session:
                await session.run(add, {"key": key})
        except DataLayerError:
            unknown[key] += 1
        else:
            done[key] += 1
        # Reads are retried automatically.
        async with database.reading() as session:
            assert (await session.run(echo, {"key": key})).scalar_one() == key


async def kill(pooled: str, direct: str) -> None:
    """Terminate every connection from the pooler to the server, three times."""
    async with connected(direct) as unpooled:
        for _ in range(3):
            await asyncio.sleep(1)
            assert await first_value(unpooled, KILL) >= 1


async def reject(wrong: str, direct: str) -> None:
    """Reject a server without a valid certificate, and print the errors."""
    async with connected(wrong, database_retry_for=0.2) as database:
        for opened in EITHER:
            try:
                async with opened(database) as session:
                    await session.run(text("SELECT 1"))
            except DatabaseUnavailable as error:
                print(error)
            else:
                raise AssertionError("the server was accepted")
    sync = SyncDatabase(DatabaseSettings(database_url=wrong, database_retry_for=0.2))
    for opening in (sync.reading(), sync.transaction()):
        try:
            with opening as session:
                session.run(text("SELECT 1"))
        except DatabaseUnavailable as error:
            print(error)
        else:
            raise AssertionError("the server was accepted by a sync session")
    sync.close()


async def wake(pooled: str, direct: str) -> None:
    """Wait for a server that accepts the third attempt, for every kind of session and the CLI."""
    for opened in EITHER:
        async with (
            falling_asleep(pooled) as url,
            connected(url) as database,
            opened(database) as session,
        ):
            assert (await session.run(text("SELECT 1"))).scalar_one() == 1
    async with falling_asleep(direct) as url:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "acme.cli", "db", "upgrade"),
            env={**os.environ, "DATABASE_URL": url},
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0


@asynccontextmanager
async def falling_asleep(url: str) -> AsyncIterator[str]:
    """Run a proxy that closes the first two connections, and return its URL."""
    parts = urlsplit(url)
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections > 2:
            upstream = await asyncio.open_connection(parts.hostname, parts.port)
            await asyncio.gather(pass_on(reader, upstream[1]), pass_on(upstream[0], writer))
        else:
            # The first before the handshake, the second during it.
            await reader.read(connections - 1)
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield url.replace(f":{parts.port}/", f":{port}/")
    finally:
        server.close()
    assert connections >= 3


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def create(server: str, name: str) -> None:
    """Create a database on the server."""
    async with connected(server) as database, database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text(f"CREATE DATABASE {name}"))


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
