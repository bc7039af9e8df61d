"""The part of `trial.py` for projects with documents."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient

Module = Callable[[str], Any]


@contextmanager
def new_database(server: Any) -> Iterator[Any]:
    """Create a database on the server, and drop it afterwards."""
    name = f"trial_{secrets.token_hex(8)}"
    try:
        yield server.set(database=name)
    finally:
        with _client(server) as client:
            client.drop_database(name)


def migrate(module: Module, url: Any) -> None:
    """Upgrade, downgrade, upgrade, and check that the database matches the models each time."""
    commands, collection_of = module("migrating.commands"), module("database.mapping").collection_of
    expected = {collection_of(model) for model in module("models").DOCUMENTS}
    commands.upgrade(url)
    commands.check(url)
    assert expected <= _collections(url)
    commands.downgrade(url)
    assert not expected & _collections(url)
    commands.upgrade(url)
    commands.check(url)


def stored_values(module: Module, document: Any) -> dict[str, Any]:
    """Return the value of every stored field."""
    names = module("database.mapping").fields_of(type(document))
    return {name: getattr(document, name) for name in names}


async def values(session: Any, model: Any, field: str) -> set[Any]:
    """Return the distinct values of a field."""
    return set(await session.run(lambda on: on.unscoped(model).distinct(field, session=on.session)))


def _collections(url: Any) -> set[str]:
    with _client(url) as client:
        return set(client[url.database].list_collection_names())


def _client(url: Any) -> MongoClient[dict[str, Any]]:
    return MongoClient(url.render_as_string(hide_password=False))
