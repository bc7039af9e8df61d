"""Count the rows that a SQL database reads for a page."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Sequence
from typing import Any

from in_project import module
from sqlalchemy import event, insert

CHUNK = 5000
# Steps of SQLite's virtual machine for each row that it reads, and that it returns.
STEPS = 40


class Store:
    """Writes rows, and counts those that a page reads."""

    def __init__(self, database: Any) -> None:
        self._engine = database.engine
        self._dialect = database.engine.dialect.name
        self._sent: list[tuple[str, Any]] = []
        event.listen(self._engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if "LIMIT" in statement:
            self._sent.append((statement, parameters))

    async def add(self, name: str, rows: Sequence[dict[str, Any]]) -> list[Any]:
        """Insert rows in the order of their keys, and return these."""
        model = module("models.base").Base.registry._class_registry[name]
        base = module("models.base")
        keys = (
            [base.new_key() for _ in rows]
            if hasattr(base, "new_key")
            else [*range(1, len(rows) + 1)]
        )
        keyed = [{"id": key, **row} for key, row in zip(keys, rows, strict=True)]
        async with self._engine.begin() as connection:
            for start in range(0, len(keyed), CHUNK):
                await connection.execute(insert(model.__table__), keyed[start : start + CHUNK])
        return keys

    async def analyze(self) -> None:
        """Update the statistics, as servers do by themselves."""
        if self._dialect == "sqlite":
            return
        async with self._engine.connect() as connection:
            tables = ", ".join(module("models.base").Base.metadata.tables)
            said = "ANALYZE TABLE" if self._dialect != "postgresql" else "VACUUM ANALYZE"
            connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql(f"{said} {tables}")

    async def cost(self, page: Awaitable[Any]) -> int:
        """Return the number of rows and index entries that a page reads."""
        self._sent.clear()
        await page
        sent = [*self._sent]
        if self._dialect == "postgresql":
            return sum([await self._explained(*each) for each in sent])
        if self._dialect == "sqlite":
            return sum(self._steps(*each) for each in sent) // STEPS
        return sum([await self._handled(*each) for each in sent])

    async def _explained(self, statement: str, parameters: Any) -> int:
        async with self._engine.connect() as connection:
            said = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
            found = (await connection.exec_driver_sql(said, parameters)).scalar_one()
        plan = json.loads(found) if isinstance(found, str) else found
        return int(_rows(plan[0]["Plan"]))

    def _steps(self, statement: str, parameters: Any) -> int:
        ticks = 0

        def tick() -> int:
            nonlocal ticks
            ticks += 1
            return 0

        connection = sqlite3.connect(self._engine.url.database)
        connection.set_progress_handler(tick, 100)
        connection.execute(statement, parameters).fetchall()
        connection.close()
        return ticks * 100

    async def _handled(self, statement: str, parameters: Any) -> int:
        async with self._engine.connect() as connection:
            await connection.exec_driver_sql("FLUSH STATUS")
            await connection.exec_driver_sql(statement, parameters)
            found = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
            return sum(int(value) for _, value in found)


def _rows(plan: Any) -> float:
    """Return the rows that the scans of a plan read."""
    inner = sum(_rows(each) for each in plan.get("Plans", ()))
    if "Scan" not in plan["Node Type"]:
        return inner
    removed = sum(plan.get(key, 0) for key in plan if key.startswith("Rows Removed"))
    return inner + float((plan["Actual Rows"] + removed) * plan["Actual Loops"])
