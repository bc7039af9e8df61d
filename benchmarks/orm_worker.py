"""Measure operations of one generated project, for `benchmarks/orms.py`, which starts it there.

It runs in the project's folder, on a private server of the project's tests. It prints a line of
JSON when it is ready, with the statements of each operation, and then reads names of operations:
for each, it prints the milliseconds of the fastest of several.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

from acme.database import Database
from acme.development.seeding import seed
from acme.migrating.commands import upgrade
from acme.repositories import TagRepository, TaskRepository, UserRepository
from acme.schemas import TaskCreate, TaskUpdate
from acme.settings import DatabaseSettings
from tests.data_layer.server import Server
from tests.data_layer.statement_count import statements_in

# The records before the measurement, and how often an operation is repeated each time.
RECORDS = {"User": 20, "Category": 20, "Tag": 50, "Task": 5000}
REPEATED = 20
ROWS = 1000


class Operations:
    """What is measured: each operation in a session of its own."""

    def __init__(self, database: Database, owner: Any, tags: list[Any], keys: list[Any]) -> None:
        self._database = database
        self._owner = owner
        self._tags = tags
        self._keys = keys
        self._number = count()

    async def _read(self, read: Callable[[Any], Awaitable[Any]]) -> None:
        async with self._database.reading() as session:
            await read(TaskRepository(session, owner=self._owner))

    async def _write(self, write: Callable[[Any], Awaitable[Any]]) -> None:
        async with self._database.transaction() as session:
            await write(TaskRepository(session, owner=self._owner))

    def _key(self) -> Any:
        return self._keys[next(self._number) % len(self._keys)]

    async def get(self) -> None:
        await self._read(lambda tasks: tasks.get(self._key()))

    async def page_of_50(self) -> None:
        await self._read(lambda tasks: tasks.page(limit=50))

    async def page_of_50_with_tags(self) -> None:
        await self._read(lambda tasks: tasks.page(limit=50, include=["tags"]))

    async def page_of_1000(self) -> None:
        await self._read(lambda tasks: tasks.page(limit=1000))

    async def count(self) -> None:
        await self._read(lambda tasks: tasks.count())

    async def create(self) -> None:
        await self._write(lambda tasks: tasks.create(TaskCreate(title="One")))

    async def update(self) -> None:
        change = TaskUpdate(title=f"Title {next(self._number)}")
        await self._write(lambda tasks: tasks.update(self._key(), change))

    async def replace_5_links(self) -> None:
        await self._write(lambda tasks: tasks.replace(self._key(), "tags", self._tags))

    async def create_1000(self) -> None:
        made = [TaskCreate(title=f"Title {number}") for number in range(ROWS)]
        await self._write(lambda tasks: tasks.create_many(made))


NAMES = [name for name in vars(Operations) if not name.startswith("_")]
# These take longer.
ONCE = {"create_1000", "page_of_1000"}


async def prepared(database: Database) -> Operations:
    """Return the operations of the oldest user, who gets enough tasks."""
    async with database.reading() as session:
        owner = (await UserRepository(session).page(order="created_at", limit=1)).items[0].id
        tags = [tag.id for tag in (await TagRepository(session).page(limit=5)).items]
    made = [TaskCreate(title=f"Title {number}") for number in range(ROWS)]
    async with database.transaction() as session:
        tasks = TaskRepository(session, owner=owner)
        await tasks.create_many(made)
        keys = [task.id for task in (await tasks.page(limit=200)).items]
    operations = Operations(database, owner, tags, keys)
    for _ in keys:
        await operations.replace_5_links()
    return operations


async def statements(url: Any, operations: Operations) -> dict[str, int]:
    """Return the statements of each operation, without the ends of its transaction."""
    counted = Database(DatabaseSettings(database_url=url))
    with tempfile.TemporaryDirectory() as folder:
        if hasattr(counted, "engine") and hasattr(counted.engine, "query_log"):
            counted.engine.query_log = Path(folder, "queries")
        found = {}
        measured = Operations(counted, operations._owner, operations._tags, operations._keys)
        for name in NAMES:
            await getattr(measured, name)()
            with statements_in(counted) as sent:
                await getattr(measured, name)()
            found[name] = len(sent)
        await counted.close()
    return found


async def milliseconds(operation: Callable[[], Awaitable[None]]) -> float:
    """Run an operation, and return the time that it takes."""
    started = time.perf_counter()
    await operation()
    return (time.perf_counter() - started) * 1000


async def main() -> None:
    """Prepare a database, and measure what the standard input asks for."""
    server = await asyncio.to_thread(Server)
    url = await asyncio.to_thread(server.create)
    await asyncio.to_thread(upgrade, url)
    database = Database(DatabaseSettings(database_url=url))
    await seed(database, RECORDS)
    operations = await prepared(database)
    print(json.dumps(await statements(url, operations)), flush=True)
    while name := (await asyncio.to_thread(sys.stdin.readline)).strip():
        operation, times = getattr(operations, name), 1 if name in ONCE else REPEATED
        print(min([await milliseconds(operation) for _ in range(times)]), flush=True)
    await database.close()
    await asyncio.to_thread(server.stop)


if __name__ == "__main__":
    asyncio.run(main())
