"""What `observe.py` needs to know about SQL: the statements, and the catalog of each database."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, event, text

Rows = Callable[..., list[Mapping[str, Any]]]


def record() -> list[Any]:
    """Return a list to which every statement will be added."""
    statements: list[Any] = []

    def add(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.append(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", add)
    return statements


async def catalog(module: Callable[[str], Any], url: Any) -> dict[str, Any]:
    """Return what the database's catalog says about each table."""
    driver = module("database.driver")
    settings = module("settings").DatabaseSettings(database_url=url)
    engine = driver.create_engine(settings)
    try:
        async with engine.connect() as connection:
            tables: dict[str, Any] = await connection.run_sync(_catalog)
            return tables
    finally:
        await engine.dispose()


def _catalog(connection: Connection) -> dict[str, Any]:
    def rows(query: str, **values: Any) -> list[Mapping[str, Any]]:
        return [dict(row) for row in connection.execute(text(query), values).mappings()]

    dialect = connection.dialect.name
    read = {"postgresql": _postgresql, "sqlite": _sqlite}.get(dialect, _mariadb)
    return read(rows)


def _table() -> dict[str, Any]:
    return {"columns": {}, "lengths": {}, "references": {}, "indexes": [], "checks": []}


def _postgresql(rows: Rows) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for row in rows(
        "SELECT table_name, column_name, is_nullable, character_maximum_length AS length "
        "FROM information_schema.columns WHERE table_schema = 'public'"
    ):
        table = tables.setdefault(row["table_name"], _table())
        table["columns"][row["column_name"]] = row["is_nullable"] == "YES"
        table["lengths"][row["column_name"]] = row["length"]
    for row in rows(
        "SELECT c.conrelid::regclass::text AS name, c.confrelid::regclass::text AS target, "
        "c.contype::text AS kind, c.confdeltype::text AS action, a.attname AS field, "
        "pg_get_constraintdef(c.oid) AS definition FROM pg_constraint c "
        "LEFT JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
        "WHERE c.connamespace = 'public'::regnamespace AND c.contype IN ('c', 'f')"
    ):
        table = tables[row["name"].strip('"')]
        if row["kind"] == "f":
            action = {"c": "cascade", "n": "set_null", "r": "restrict", "a": "restrict"}
            table["references"][row["field"]] = [row["target"].strip('"'), action[row["action"]]]
        else:
            table["checks"].append(row["definition"])
    for row in rows(
        "SELECT i.indrelid::regclass::text AS name, i.indisunique AS is_unique, "
        "m.amname AS method, pg_get_expr(i.indpred, i.indrelid) AS condition, "
        "ARRAY(SELECT CASE WHEN pg_index_column_has_property(i.indexrelid, k, 'desc') "
        "THEN '-' ELSE '' END || trim('\"' FROM pg_get_indexdef(i.indexrelid, k, true)) "
        "FROM generate_series(1, i.indnkeyatts) AS k) AS parts "
        "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam "
        "WHERE c.relnamespace = 'public'::regnamespace AND NOT i.indisprimary"
    ):
        index = {"on": row["parts"], "unique": row["is_unique"], "method": row["method"]}
        tables[row["name"].strip('"')]["indexes"].append(index | {"where": row["condition"] or ""})
    return tables


def _mariadb(rows: Rows) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    markers: dict[tuple[str, str], str] = {}
    for row in rows(
        "SELECT table_name AS name, column_name AS field, is_nullable AS nullable, "
        "character_maximum_length AS length, generation_expression AS expression "
        "FROM information_schema.columns WHERE table_schema = database()"
    ):
        if row["expression"]:
            # A partial unique index contains a column that is null outside the index.
            markers[row["name"], row["field"]] = row["expression"]
            continue
        table = tables.setdefault(row["name"], _table())
        table["columns"][row["field"]] = row["nullable"] == "YES"
        table["lengths"][row["field"]] = row["length"]
    for row in rows(
        "SELECT r.table_name AS name, k.column_name AS field, r.referenced_table_name AS target, "
        "r.delete_rule AS action FROM information_schema.referential_constraints r "
        "JOIN information_schema.key_column_usage k ON k.constraint_name = r.constraint_name "
        "AND k.table_name = r.table_name AND k.constraint_schema = r.constraint_schema "
        "WHERE r.constraint_schema = database()"
    ):
        action = "restrict" if row["action"] == "NO ACTION" else row["action"]
        tables[row["name"]]["references"][row["field"]] = [
            row["target"],
            action.lower().replace(" ", "_"),
        ]
    for row in rows(
        "SELECT table_name AS name, check_clause AS definition "
        "FROM information_schema.check_constraints WHERE constraint_schema = database()"
    ):
        tables[row["name"]]["checks"].append(row["definition"])
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows(
        "SELECT table_name AS name, index_name AS title, non_unique AS repeats, "
        "column_name AS field, collation AS direction, index_type AS method "
        "FROM information_schema.statistics WHERE table_schema = database() "
        "AND index_name <> 'PRIMARY' ORDER BY table_name, index_name, seq_in_index"
    ):
        place = row["name"], row["title"]
        index = found.setdefault(
            place, {"on": [], "unique": not row["repeats"], "method": row["method"], "where": ""}
        )
        if (row["name"], row["field"]) in markers:
            index["where"] = markers[row["name"], row["field"]]
        else:
            index["on"].append(("-" if row["direction"] == "D" else "") + row["field"])
    for (name, _), index in found.items():
        tables[name]["indexes"].append(index)
    return tables


def _sqlite(rows: Rows) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for row in rows("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL"):
        name = row["name"]
        table = tables[name] = _table()
        # Each CHECK is on a line of its own.
        table["checks"] = [line for line in row["sql"].splitlines() if "CHECK" in line]
        for field in rows(
            'SELECT name, "notnull" AS needed FROM pragma_table_info(:name)', name=name
        ):
            table["columns"][field["name"]] = not field["needed"]
        for key in rows(
            'SELECT "from" AS field, "table" AS target, on_delete FROM '
            "pragma_foreign_key_list(:name)",
            name=name,
        ):
            action = "restrict" if key["on_delete"] == "NO ACTION" else key["on_delete"]
            table["references"][key["field"]] = [key["target"], action.lower().replace(" ", "_")]
        for index in rows(
            'SELECT l.name, l."unique" AS is_unique, m.sql FROM pragma_index_list(:name) l '
            "JOIN sqlite_master m ON m.name = l.name WHERE l.origin = 'c'",
            name=name,
        ):
            parts = rows(
                'SELECT name, "desc" AS down FROM pragma_index_xinfo(:name) WHERE key = 1',
                name=index["name"],
            )
            condition = re.search(r"\bWHERE\b(.*)", index["sql"], re.DOTALL)
            table["indexes"].append(
                {
                    "on": [("-" if part["down"] else "") + str(part["name"]) for part in parts],
                    "unique": bool(index["is_unique"]),
                    "method": "btree",
                    "where": condition[1] if condition else "",
                }
            )
    return tables
