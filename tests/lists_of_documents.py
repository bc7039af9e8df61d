"""Count the documents that MongoDB reads for a page."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from typing import Any

from in_project import module

CHUNK = 5000


class Store:
    """Writes documents, and counts those that a page reads."""

    def __init__(self, database: Any) -> None:
        self._database = database.client.get_default_database()
        self._profile = self._database["system.profile"]

    async def add(self, name: str, documents: Sequence[dict[str, Any]]) -> list[Any]:
        """Insert documents in the order of their keys, and return these."""
        models = {model.__name__: model for model in module("models").DOCUMENTS}
        base, mapping = module("models.base"), module("database.mapping")
        now = datetime.now(UTC)
        made = [
            mapping.new_bson(models[name], {"id": base.new_key(), **each}, now)
            | {key: each[key] for key in ("created_at", "updated_at", "deleted_at") if key in each}
            for each in documents
        ]
        collection = self._database[models[name].Settings.name]
        for start in range(0, len(made), CHUNK):
            await collection.insert_many(made[start : start + CHUNK])
        return [each["_id"] for each in made]

    async def analyze(self) -> None:
        """Begin to record what commands read."""
        await self._database.command("profile", 2)

    async def cost(self, page: Awaitable[Any]) -> int:
        """Return the number of documents and index entries that a page reads."""
        started = await self._database.command("hello")
        await page
        found = self._profile.find({"ts": {"$gte": started["localTime"]}, "op": "query"})
        costs = [
            each["docsExamined"] + each["keysExamined"]
            async for each in found
            if each["ns"].split(".")[-1] != "system.profile"
        ]
        assert costs
        return int(sum(costs))
