"""What `observe.py` needs to know about MongoDB: the commands, and the rules of each collection."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pymongo import monitoring

BOUNDS = {"minimum", "maximum", "minLength", "enum"}
RECORDED = ("find", "aggregate", "update", "delete", "findAndModify", "insert")


class Recorder(monitoring.CommandListener):
    """Adds each command that reads or writes documents to a list."""

    def __init__(self, commands: list[Any]) -> None:
        self.commands = commands

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Add a command, with the filters that it contains."""
        name = event.command_name
        if name in RECORDED:
            command = dict(event.command)
            filters = [command[key] for key in ("filter", "query") if key in command]
            filters += [
                each["q"] for key in ("updates", "deletes") for each in command.get(key, [])
            ]
            if name == "aggregate":
                filters += [stage["$match"] for stage in command["pipeline"] if "$match" in stage][
                    :1
                ]
            filters += command.get("documents", [])
            self.commands.append(
                [name, command[name], [json.dumps(each, default=str) for each in filters]]
            )

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Ignore the result."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Ignore the failure."""


def record() -> list[Any]:
    """Return a list to which every command will be added."""
    commands: list[Any] = []
    monitoring.register(Recorder(commands))
    return commands


async def catalog(module: Callable[[str], Any], url: Any) -> dict[str, Any]:
    """Return the rules and the indexes of each collection."""
    settings = module("settings").DatabaseSettings(database_url=url)
    client = module("database.driver").create_client(settings)
    tables: dict[str, Any] = {}
    try:
        database = client.get_default_database()
        async for found in await database.list_collections():
            clauses = found["options"].get("validator", {})
            clauses = clauses.get("$and", [clauses])
            schema = clauses[0].get("$jsonSchema", {}).get("properties", {})
            tables[found["name"]] = {
                "columns": {name: is_nullable(rule) for name, rule in schema.items()},
                "lengths": {name: rule.get("maxLength") for name, rule in schema.items()},
                "references": {},
                "indexes": [],
                "checks": [json.dumps(clause, default=str) for clause in clauses[1:]]
                + [
                    json.dumps({name: rule}, default=str)
                    for name, rule in schema.items()
                    if BOUNDS & rule.keys()
                ],
            }
            for name, index in (await database[found["name"]].index_information()).items():
                if name != "_id_":
                    tables[found["name"]]["indexes"].append(
                        {
                            "on": [part_of(*part) for part in index["key"]],
                            "unique": index.get("unique", False),
                            "method": "text" if "textIndexVersion" in index else "btree",
                            "where": json.dumps(
                                index.get("partialFilterExpression", {}), default=str
                            ),
                        }
                    )
    finally:
        await client.close()
    return tables


def is_nullable(rule: dict[str, Any]) -> bool:
    """Whether a rule of a validator accepts null."""
    return "null" in rule.get("bsonType", []) or None in rule.get("enum", [])


def part_of(field: str, direction: object) -> str:
    """Return the name of an indexed field, with a leading "-" if it is descending."""
    return ("-" if direction == -1 else "") + ("id" if field == "_id" else field)
