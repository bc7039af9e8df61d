"""What is tried of a generated project, in one process of its own: its migrations and its rows.

    python trial.py SERVER COUNTS

It runs in the project's folder. SERVER is the URL of a PostgreSQL, or of a SQLite file that is not
there yet; COUNTS says in JSON how many rows of each entity to make up. Prints nothing when all is
right.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import secrets
import sys
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from faker import Faker
from sqlalchemy import URL, inspect, select, text
from sqlalchemy.ext.asyncio import create_async_engine

[PACKAGE] = [path.parent.name for path in Path("src").glob("*/seeding.py")]


def module(name: str) -> Any:
    """A module of the project."""
    return importlib.import_module(f"{PACKAGE}.{name}")


async def on_server(url: URL, statement: str) -> None:
    """Run a statement that cannot be in a transaction."""
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def tables(url: URL) -> set[str]:
    """The tables that a database has."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda each: inspect(each).get_table_names())
    await engine.dispose()
    return set(names)


def migrate(url: URL) -> None:
    """Up, down and up again, and see each time that what is there is what the models say."""
    config = Config(
        toml_file=Path("pyproject.toml"), stdout=io.StringIO(), attributes={"database_url": url}
    )
    expected = set(module("models").Base.metadata.tables)
    command.upgrade(config, "head")
    command.check(config)
    assert asyncio.run(tables(url)) == {*expected, "alembic_version"}
    command.downgrade(config, "base")
    assert asyncio.run(tables(url)) == {"alembic_version"}
    command.upgrade(config, "head")
    command.check(config)


async def fill(url: URL, counts: dict[str, int]) -> None:
    """One row of each entity by itself, read back; then as many as there may be."""
    database = module("database").Database(module("settings").DatabaseSettings(database_url=url))
    try:
        fake = Faker()
        fake.seed_instance(1)
        for sample in module("sample_data").SAMPLES:
            await create_one(database, fake, sample)
        await module("seeding").seed(database, {name: count - 1 for name, count in counts.items()})
        for sample in module("sample_data").SAMPLES:
            await read_all(database, sample, counts[sample.name])
    finally:
        await database.close()


async def create_one(database: Any, fake: Any, sample: Any) -> None:
    """What is created is what was sent; what is read is what was created."""
    maker = module("seeding").Maker(fake, sample)
    await maker.look_around(database)
    [[owner, [data]]] = maker.make(1).items()
    async with database.transaction() as session:
        created = await sample.open(session, owner).create(data)
        before = everything(created)
    sent = data.model_dump()
    assert {name: before[name] for name in sent} == sent
    async with database.reading() as session:
        row = await sample.open(session, owner).get(created.id)
    assert everything(row) == before
    answer(sample, row)


async def read_all(database: Any, sample: Any, count: int) -> None:
    """Every row can be read and answered."""
    model = sample.repository.model
    owners = {None}
    found = 0
    async with database.reading() as session:
        if column := sample.repository.owner_field:
            owners = set(await session.scalars(select(getattr(model, column))))
        for owner in owners:
            rows = sample.open(session, owner)
            page = await rows.page(limit=100)
            assert await rows.count() == len(page.items)
            found += len(page.items)
            for row in page.items:
                answer(sample, row)
    assert found == count, (sample.name, found, count)


def everything(row: Any) -> dict[str, Any]:
    """The value of every column that is read with a row."""
    columns = [column for column in row.__mapper__.column_attrs if not column.deferred]
    return {column.key: getattr(row, column.key) for column in columns}


def answer(sample: Any, row: Any) -> None:
    """Write the row as it is answered."""
    schema = getattr(module("schemas"), f"{sample.name}Response")
    json.loads(schema.model_validate(row).model_dump_json())


def main(server: str, counts: dict[str, int]) -> None:
    """Try the project on a new database."""
    url = module("driver").parse_url(server)
    if url.get_backend_name() == "sqlite":
        migrate(url)
        asyncio.run(fill(url, counts))
        return
    name = f"trial_{secrets.token_hex(8)}"
    asyncio.run(on_server(url, f"CREATE DATABASE {name} STRATEGY FILE_COPY"))
    try:
        migrate(url.set(database=name))
        asyncio.run(fill(url.set(database=name), counts))
    finally:
        asyncio.run(on_server(url, f"DROP DATABASE {name} WITH (FORCE)"))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
