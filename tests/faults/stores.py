"""Every database that is broken."""

from __future__ import annotations

from tests.faults.mongodb import MongoDB
from tests.faults.sql import MariaDB, Neon, PostgreSQL, SQLite
from tests.faults.store import Server, Store

SERVERS: list[type[Server]] = [PostgreSQL, Neon, MariaDB, MongoDB]
STORES: list[type[Store]] = [*SERVERS, SQLite]

# Those whose commits can be refused.
DEFERRING: list[type[Store]] = [kind for kind in STORES if kind.defers]
