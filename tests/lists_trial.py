"""Count what the database reads for each filter, bound and order of a large list.

    python lists_trial.py RECORDS

Run it in the folder of a project with the model lists.yml. Prints one line for each page that reads
more than MOST records or index entries, and the number of pages.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from in_project import IS_SQL, module

STORE: Any = importlib.import_module("lists_of_tables" if IS_SQL else "lists_of_documents")

LIMIT = 50
# A tenth of the records is deleted, each is read from the index and from the table, and a server
# may try several plans.
MOST = 16 * LIMIT
DEEP = 2700
START = datetime(2026, 1, 1, tzinfo=UTC)


def tasks(count: int, owners: list[Any], others: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Yield tasks: nine of ten of one owner, and each rare value only in the oldest ones."""
    for number in range(count):
        mine = number % 10 != 9
        rare = number < count // 20
        # An import of a tenth of them has one timestamp.
        step = number if not count * 4 // 10 < number < count // 2 else count // 2
        yield {
            "owner_id": owners[0 if mine else 1],
            "title": f"Task {number * 7919 % count:06}",
            "status": "rare" if rare else ("open", "done")[number % 2],
            "priority": number % 5,
            "cost": Decimal(number * 31 % 1000),
            "due_at": None if number % 3 == 0 else START + timedelta(hours=number * 17 % 1000),
            "number": number,
            "size": number % 3,
            "flagged": rare,
            "stage": None if rare else "final",
            "category_id": None if number % 2 else others["Category"][0 if rare else 1],
            "project_id": others["Project"][(0 if rare else 1) if mine else 2],
            "reviewer_id": owners[0 if rare else 1],
            "created_at": START + timedelta(seconds=step),
            "updated_at": START + timedelta(seconds=step * 13 % count),
            # Half of the deleted ones were deleted at once.
            "deleted_at": START + timedelta(hours=number * (number % 20 == 5))
            if number % 10 == 5
            else None,
        }


def categories(count: int) -> Iterator[dict[str, Any]]:
    """Yield categories, few of them rare."""
    for number in range(count):
        kind = "rare" if number < count // 20 else "plain"
        yield {"name": f"{'zBé'[number % 3]}{number % 100}", "kind": kind}


async def fill(store: Any, count: int) -> Any:
    """Write the records, and return the key of the owner."""
    # The first two own records; the others are there for the lists of users.
    names = ["a", "b", *(f"user{number * 7919 % count:06}" for number in range(count // 3))]
    owners = await store.add("User", [{"email": f"{name}@example.com"} for name in names])
    projects = [{"owner_id": owners[name], "name": f"P{name}"} for name in (0, 0, 1)]
    projects[1]["name"] = "P"
    others = {
        "Category": await store.add("Category", list(categories(count // 3))),
        "Project": await store.add("Project", projects),
    }
    await store.add("Task", list(tasks(count, owners, others)))
    await store.analyze()
    return owners[0]


def lists(repository: Any, example: Any) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Yield each order, filter and bound, with the filters that it needs."""
    indexed = ((repository.default_order,), *repository.indexed)
    for *fields, order in indexed:
        equal = {field: getattr(example, field) for field in fields}
        field = order.removeprefix("-")
        yield from ((way, equal) for way in (None, field, f"-{field}"))
        if field in repository.filters:
            yield None, {**equal, field: getattr(example, field)}
        for null in {*fields, field} & {*repository.nullable}:
            others = {name: value for name, value in equal.items() if name != null}
            given = {**others, f"{null}_is_null": True}
            yield from ((way, given) for way in (None, field, f"-{field}"))
        if field in repository.nullable:
            given = {**equal, f"{field}_is_null": False}
            yield from ((way, given) for way in (None, field, f"-{field}"))
        if field in repository.ranges:
            for bound, way in (("ge", None), ("lt", None), ("gt", field), ("le", f"-{field}")):
                yield way, {**equal, f"{field}_{bound}": getattr(example, field)}


async def measure(url: Any, count: int) -> None:
    """Fill a database and count what its pages read."""
    database = module("database").Database(module("settings").DatabaseSettings(database_url=url))
    read = 0
    store = STORE.Store(database)
    owner = await fill(store, count)
    for sample in module("development.sample_data").SAMPLES:
        async with database.reading() as session:
            records = sample.open(session, owner)
            examples = await records.page(order="created_at", limit=3)
            for order, filters in lists(sample.repository, examples.items[-1]):
                for cursor in {None, await deep(records.page, order=order, **filters)}:
                    wanted = {"after": cursor} if cursor else {"order": order, **filters}
                    cost = await store.cost(records.page(limit=LIMIT, **wanted))
                    read += 1
                    if cost > MOST:
                        where = "deep" if cursor else "first"
                        print(f"{cost} {sample.name} {order} {filters} {where}")
            if sample.name == "Task":
                for cursor in (None, await deep(records.deleted_page)):
                    cost = await store.cost(records.deleted_page(limit=LIMIT, after=cursor))
                    read += 1
                    if cost > MOST:
                        print(f"{cost} deleted {sample.name} {'deep' if cursor else 'first'}")
    async with database.reading() as session:
        [repository] = [
            each.repository
            for each in module("development.sample_data").SAMPLES
            if each.name == "Category"
        ]
        up, down = [
            await repository(session).page(order=order, limit=LIMIT) for order in ("name", "-name")
        ]
    # By code point, on every database.
    assert (up.items[0].name[0], down.items[0].name[0]) == ("B", "é")
    await database.close()
    print(f"{read} pages")


async def deep(page_of: Callable[..., Awaitable[Any]], **wanted: Any) -> str | None:
    """Return the cursor after DEEP records, if there are more."""
    page = await page_of(limit=DEEP // 3, **wanted)
    for _ in range(2):
        if page.next_cursor:
            page = await page_of(after=page.next_cursor)
    cursor: str | None = page.next_cursor
    return cursor


if __name__ == "__main__":
    with module("development.local_database").temporary_database() as temporary:
        module("migrating.commands").upgrade(temporary)
        asyncio.run(measure(temporary, int(sys.argv[1])))
