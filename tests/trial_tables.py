"""The part of `trial.py` for projects with tables."""

from __future__ import annotations

import asyncio
import io
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, inspect, select, text
from sqlalchemy.ext.asyncio import create_async_engine

Module = Callable[[str], Any]


@contextmanager
def new_database(server: URL) -> Iterator[URL]:
    """Create a database on the server, and drop it afterwards; a SQLite file is used as it is."""
    if server.get_backend_name() == "sqlite":
        yield server
        return
    name = f"trial_{secrets.token_hex(8)}"
    asyncio.run(_run(server, f"CREATE DATABASE {name} STRATEGY FILE_COPY"))
    try:
        yield server.set(database=name)
    finally:
        asyncio.run(_run(server, f"DROP DATABASE {name} WITH (FORCE)"))


def migrate(module: Module, url: URL) -> None:
    """Upgrade, downgrade, upgrade, and check that the database matches the models each time."""
    config = Config(
        toml_file=Path("pyproject.toml"), stdout=io.StringIO(), attributes={"database_url": url}
    )
    expected = set(module("models").Base.metadata.tables)
    command.upgrade(config, "head")
    command.check(config)
    assert asyncio.run(_tables(url)) == {*expected, "alembic_checksums", "alembic_version"}
    command.downgrade(config, "base")
    assert asyncio.run(_tables(url)) == {"alembic_checksums", "alembic_version"}
    command.upgrade(config, "head")
    command.check(config)


def stored_values(_: Module, row: Any) -> dict[str, Any]:
    """Return the value of every column that is loaded with a row."""
    columns = [column for column in row.__mapper__.column_attrs if not column.deferred]
    return {column.key: getattr(row, column.key) for column in columns}


async def values(session: Any, model: Any, column: str) -> set[Any]:
    """Return the distinct values of a column."""
    statement = select(getattr(model, column)).execution_options(scope="exempt")
    return set(await session.scalars(statement))


async def _run(url: URL, statement: str) -> None:
    """Run a statement that cannot run in a transaction."""
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def _tables(url: URL) -> set[str]:
    """Return the names of the tables in a database."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda each: inspect(each).get_table_names())
    await engine.dispose()
    return set(names)
