"""Connect to the URLs in the arguments, with async and sync sessions, in a generated project.

    python tls_trial.py URL...

Prints a JSON list with two results for each URL: "TLS", "plain" or the error.
"""

from __future__ import annotations

import asyncio
import json
import sys

from acme.database import Database, SyncDatabase
from acme.errors import DataLayerError
from acme.settings import DatabaseSettings
from sqlalchemy import TextClause, text

CIPHER = text(
    "SELECT if(variable_value = '', 'plain', 'TLS') FROM information_schema.session_status "
    "WHERE variable_name = 'Ssl_cipher'"
)
# PgBouncer accepts no connection without TLS.
ENCRYPTED = text("SELECT 'TLS'")


async def connect(settings: DatabaseSettings) -> str:
    """Connect with an async session."""
    database = Database(settings)
    try:
        async with database.reading() as session:
            return str((await session.run(statement(settings))).scalar())
    except DataLayerError as error:
        return str(error)
    finally:
        await database.close()


def connect_sync(settings: DatabaseSettings) -> str:
    """Connect with a sync session."""
    database = SyncDatabase(settings)
    try:
        with database.reading() as session:
            return str(session.run(statement(settings)).scalar())
    except DataLayerError as error:
        return str(error)
    finally:
        database.close()


def statement(settings: DatabaseSettings) -> TextClause:
    """Return the statement that finds out whether the connection is encrypted."""
    return CIPHER if settings.database_url.get_backend_name() == "mariadb" else ENCRYPTED


results = []
for url in sys.argv[1:]:
    each = DatabaseSettings(database_url=url, database_retry_for=0)
    results.append((asyncio.run(connect(each)), connect_sync(each)))
json.dump(results, sys.stdout)
