"""The databases of the fault tests."""

from __future__ import annotations

from tests.faults.mongodb import MongoDB
from tests.faults.sql import MariaDB, Neon, PostgreSQL, SQLite
from tests.faults.store import Server, Store

SERVERS: list[type[Server]] = [PostgreSQL, Neon, MariaDB, MongoDB]
STORES: list[type[Store]] = [*SERVERS, SQLite]

# The databases whose commits can be rejected.
DEFERRING: list[type[Store]] = [kind for kind in STORES if kind.defers_constraints]
