"""Test the migrations and records of a generated project, in a separate process.

    python trial.py SERVER COUNTS

Run it in the project's folder. SERVER is the URL of a PostgreSQL or MongoDB server, or of a SQLite
file that does not exist yet; COUNTS is JSON with the number of records to generate for each entity.
Prints nothing on success.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from typing import Any

from faker import Faker
from in_project import IS_SQL, module

# The module beside this file that is specific to tables or documents.
STORE: Any = importlib.import_module("trial_tables" if IS_SQL else "trial_documents")


async def fill(url: Any, counts: dict[str, int]) -> None:
    """Create and read one record of each entity, then the others."""
    database = module("database").Database(module("settings").DatabaseSettings(database_url=url))
    try:
        fake = Faker()
        fake.seed_instance(1)
        for sample in module("development.sample_data").SAMPLES:
            await create_one(database, fake, sample)
        seeding = module("development.seeding")
        await seeding.seed(database, {name: count - 1 for name, count in counts.items()})
        capped = seeding.cap_counts(dict.fromkeys(counts, max(counts.values())))
        assert all(capped[name] >= count for name, count in counts.items()), capped
        for sample in module("development.sample_data").SAMPLES:
            await read_all(database, sample, counts[sample.name])
    finally:
        await database.close()


async def create_one(database: Any, fake: Any, sample: Any) -> None:
    """Check that a created record has the values sent, and is read as it was created."""
    maker = module("development.seeding").Maker(fake, sample)
    await maker.load_existing(database)
    [[owner, [data]]] = maker.make(1).items()
    async with database.transaction() as session:
        created = await sample.open(session, owner).create(data)
        before = STORE.stored_values(module, created)
    for name in data.model_dump():
        assert before[name] == getattr(data, name)
    async with database.reading() as session:
        record = await sample.open(session, owner).get(created.id)
    assert STORE.stored_values(module, record) == before
    serialize(sample, record)


async def read_all(database: Any, sample: Any, count: int) -> None:
    """Check that every record can be read and returned."""
    owners = {None}
    found = 0
    async with database.reading() as session:
        if field := sample.repository.owner_field:
            owners = await STORE.values(session, sample.repository.model, field)
        for owner in owners:
            records = sample.open(session, owner)
            page = await records.page(limit=100)
            assert await records.count() == len(page.items)
            found += len(page.items)
            for record in page.items:
                serialize(sample, record)
    assert found == count, (sample.name, found, count)


def serialize(sample: Any, record: Any) -> None:
    """Serialize the record with its response schema."""
    schema = getattr(module("schemas"), f"{sample.name}Response")
    json.loads(schema.model_validate(record).model_dump_json())


def main(server: str, counts: dict[str, int]) -> None:
    """Test the project on a new database."""
    assert not module("development.schema_document").rewrite(), "docs/schema.md differs"
    with STORE.new_database(module("settings").parse_url(server)) as url:
        STORE.migrate(module, url)
        asyncio.run(fill(url, counts))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
