"""What a project does with Prisma Client Python, on the wasm engine: run in a separate process.

    python trial.py SCENARIO ...

The current folder contains the generated client, `records`, and DATABASE_URL refers to a database
with its tables. The expectations are those of the native engine: the documentation of Prisma 5.17,
the errors that Prisma Client Python maps, and the column types of Prisma Migrate.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel

sys.path.insert(0, str(Path.cwd()))

from records import Base64, Json, Prisma, errors


class Row(BaseModel):
    """A column of a raw query."""

    at: datetime


URL = os.environ["DATABASE_URL"]
ON_SQLITE = URL.startswith("file:")
WHEN = datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
IN_MILLISECONDS = WHEN.replace(microsecond=678000)
TEXT_LIKE_A_TIMESTAMP = "2024-01-01T00:00:00+00:00"


@asynccontextmanager
async def connected(**parameters: Any) -> AsyncIterator[Any]:
    """Connect with these parameters in the URL."""
    words = "&".join(f"{name}={value}" for name, value in parameters.items())
    separator = "&" if "?" in URL else "?"
    url = f"{URL}{separator}{words}" if words else URL
    db = Prisma(datasource={"url": url})
    await db.connect()
    try:
        yield db
    finally:
        await db.disconnect()


async def error_of(awaitable: Awaitable[Any]) -> Any:
    """Return the exception that it raises."""
    try:
        result = await awaitable
    except Exception as error:
        return error
    raise AssertionError(f"no error, but {result!r}")


async def remove_all(db: Any) -> None:
    for table in (db.post, db.tag, db.user):
        await table.delete_many()


# ---- Records


async def values(db: Any) -> None:
    """Every type comes back as it was, timestamps in milliseconds."""
    given: dict[str, Any] = {
        "email": "ada@example.com",
        "price": Decimal("12.3400"),
        "at": WHEN,
        "content": Base64.encode(b"\x00\xff'"),
        "big": 2**60 + 1,
        "ratio": 1.5,
        "active": False,
    }
    if not ON_SQLITE:
        document = {"list": [1, 'a "quoted" word\n', None, "é😀"]}
        given |= {"level": "HIGH", "levels": ["LOW", "HIGH"], "labels": ["x", 'y,"z']}
        given |= {"document": Json(document), "born": datetime(2000, 2, 29)}
    await db.user.create(data=given)
    found = await db.user.find_unique(where={"email": "ada@example.com"})
    assert found.at == IN_MILLISECONDS
    assert (found.price, found.big, found.ratio) == (Decimal("12.34"), 2**60 + 1, 1.5)
    assert (found.content.decode(), found.active) == (b"\x00\xff'", False)
    if ON_SQLITE:
        [kind] = await db.query_raw("SELECT typeof(at) AS at FROM User")
        assert kind == {"at": "integer"}
    else:
        assert (found.level, found.levels) == ("HIGH", ["LOW", "HIGH"])
        assert (found.document, found.labels) == (document, ["x", 'y,"z'])
        matching = {"document": {"path": ["list"], "array_contains": Json([1])}}
        assert await db.user.count(where=matching) == 1
        assert await db.user.count(where={"document": {"equals": Json(document)}}) == 1
        assert found.born == datetime(2000, 2, 29, tzinfo=UTC)
    for filters in ({"at": {"equals": IN_MILLISECONDS}}, {"price": Decimal("12.34")}):
        assert await db.user.count(where=filters) == 1
    after = {"at": {"gt": IN_MILLISECONDS}}
    assert await db.user.count(where=after) == 0
    await db.user.update(where={"id": found.id}, data={"email": TEXT_LIKE_A_TIMESTAMP})
    assert (await db.user.find_first(where={"email": TEXT_LIKE_A_TIMESTAMP})).id == found.id


async def relations(db: Any) -> None:
    """Create, read, sort, update, count and delete across relations."""
    user = await db.user.create(
        data={
            "email": "ada@example.com",
            "posts": {
                "create": [{"title": "b", "tags": {"create": {"name": "t"}}}, {"title": "a"}]
            },
        },
        include={"posts": {"include": {"tags": True}, "order_by": {"title": "asc"}}},
    )
    assert [(post.title, len(post.tags)) for post in user.posts] == [("a", 0), ("b", 1)]
    assert await db.post.count(where={"tags": {"some": {"name": "t"}}}) == 1
    page = await db.post.find_many(order=[{"title": "desc"}], take=1, skip=1)
    assert [post.title for post in page] == ["a"]
    for email in ("ada@example.com", "bob@example.com"):
        data = {"create": {"email": email}, "update": {"big": {"increment": 5}}}
        await db.user.upsert(where={"email": email}, data=data)
    sums = await db.user.group_by(by=["email"], sum={"big": True}, order={"email": "asc"})
    assert [(row["email"], int(row["_sum"]["big"])) for row in sums] == [
        ("ada@example.com", 5),
        ("bob@example.com", 0),
    ]
    assert await db.tag.create_many(data=[{"name": "u"}, {"name": "v"}]) == 2
    assert await db.tag.update_many(where={"name": {"in": ["u", "v"]}}, data={"name": "w"}) == 2
    assert await db.user.update(where={"id": user.id + 1000}, data={"big": 1}) is None
    await db.user.delete(where={"id": user.id})
    assert await db.post.count() == 0


async def mapped_errors(db: Any) -> None:
    """Errors have the class, the code and the details that a project needs to explain them."""
    user = await db.user.create(data={"email": "ada@example.com"})
    duplicate = await error_of(db.user.create(data={"email": "ada@example.com"}))
    assert isinstance(duplicate, errors.UniqueViolationError), duplicate
    assert duplicate.data["user_facing_error"]["meta"]["target"] == ["email"]
    dangling = await error_of(db.post.create(data={"title": "x", "authorId": user.id + 1000}))
    assert isinstance(dangling, errors.ForeignKeyViolationError), dangling
    field = dangling.data["user_facing_error"]["meta"]["field_name"]
    assert field == ("foreign key" if ON_SQLITE else "posts_author_id_fkey (index)")
    missing = await error_of(db.user.find_unique_or_raise(where={"email": "none"}))
    assert isinstance(missing, errors.RecordNotFoundError)
    assert missing.code == "P2025"
    unknown = await error_of(db.user.find_many(where={"other": 1}))
    assert isinstance(unknown, errors.FieldNotFoundError)
    assert isinstance(await error_of(db.user.create(data={})), errors.MissingRequiredValueError)
    raw = await error_of(db.query_raw("SELECT * FROM missing"))
    assert isinstance(raw, errors.RawQueryError)
    codes = {"1"} if ON_SQLITE else {"42P01"}
    assert raw.meta["code"] in codes
    assert "missing" in raw.meta["message"]


async def raw_queries(db: Any) -> None:
    """Raw queries take parameters and return typed values."""
    await db.user.create(data={"email": "ada@example.com", "at": WHEN, "price": Decimal("1.5")})
    place = "?" if ON_SQLITE else "$1"
    statement = f'SELECT id, email, at, price, active FROM "User" WHERE email = {place}'
    [row] = await db.query_raw(statement, "ada@example.com")
    assert row["at"] == "2024-01-02T03:04:05.678+00:00"
    assert (row["price"], row["active"]) == (1.5, True)
    [typed] = await db.query_raw(statement, "ada@example.com", model=Row)
    assert typed.at == IN_MILLISECONDS
    assert await db.execute_raw(f'UPDATE "User" SET big = 1 WHERE email = {place}', "x") == 0
    assert await db.execute_raw('UPDATE "User" SET big = 1') == 1
    if ON_SQLITE:
        [row] = await db.query_raw("SELECT ? AS text, ? AS big", TEXT_LIKE_A_TIMESTAMP, 2**60 + 1)
        assert row == {"text": TEXT_LIKE_A_TIMESTAMP, "big": 2**60 + 1}
        await db.execute_raw("INSERT INTO User (email) VALUES ('default')")
        created = await db.user.find_first(where={"email": "default"})
        assert abs(created.at - datetime.now(UTC)) < timedelta(minutes=5)
    else:
        async with db.tx() as tx:
            await tx.execute_raw("SET LOCAL TIME ZONE 'Asia/Kolkata'")
            assert (await tx.user.find_first()).at == IN_MILLISECONDS
            [row] = await tx.query_raw("SELECT $1::timestamptz AS at, $2::int[] AS list", WHEN, [1])
            assert row == {"at": "2024-01-02T03:04:05.678+00:00", "list": [1]}


# ---- Transactions


async def transactions(db: Any) -> None:
    """A transaction is committed as a whole, or not at all, and expires."""
    async with db.tx() as tx:
        await tx.tag.create(data={"name": "inside"})
        assert await db.tag.count() == 0
    assert await db.tag.count() == 1

    async def interrupted() -> None:
        async with db.tx() as tx:
            await tx.tag.create(data={"name": "lost"})
            raise KeyError

    async def late() -> None:
        async with db.tx(timeout=timedelta(milliseconds=200)) as tx:
            await tx.tag.create(data={"name": "lost"})
            await asyncio.sleep(0.5)
            await tx.tag.count()

    async def batch() -> None:
        async with db.batch_() as batch:
            batch.user.create({"email": "twice"})
            batch.user.create({"email": "twice"})

    assert isinstance(await error_of(interrupted()), KeyError)
    assert isinstance(await error_of(late()), errors.TransactionExpiredError)
    assert isinstance(await error_of(batch()), errors.UniqueViolationError)
    assert (await db.tag.count(), await db.user.count()) == (1, 0)


async def writers(db: Any) -> None:
    """A writer waits for another one; on PostgreSQL, only for one of the same row."""
    first = await db.tag.create(data={"name": "a"})
    order: list[str] = []

    async def slow() -> None:
        async with db.tx() as tx:
            await tx.tag.update(where={"id": first.id}, data={"name": "slow"})
            await asyncio.sleep(0.5)
            order.append("slow")

    async def waiting() -> None:
        await asyncio.sleep(0.2)
        await db.tag.update(where={"id": first.id}, data={"name": "waiting"})
        order.append("waiting")

    await asyncio.gather(slow(), waiting())
    assert order == ["slow", "waiting"]


async def limits() -> None:
    """A pool with one connection: the errors of a query and of a transaction that wait for it."""
    async with connected(connection_limit=1, pool_timeout=1) as db:

        async def occupy() -> None:
            async with db.tx() as tx:
                await tx.tag.count()
                await asyncio.sleep(2)

        async def start() -> None:
            async with db.tx(max_wait=timedelta(milliseconds=300)):
                pass

        occupying = asyncio.create_task(occupy())
        await asyncio.sleep(0.3)
        late, query = await asyncio.gather(error_of(start()), error_of(db.tag.count()))
        assert "P2028" in str(late)
        assert "in the given time" in str(late)
        assert query.data["user_facing_error"]["error_code"] == "P2024"
        assert query.data["user_facing_error"]["meta"] == {"connection_limit": 1, "timeout": 1}
        await occupying
        await start()


# ---- Failures


async def lost_connections() -> None:
    """A query on a connection that breaks fails, and the next ones work."""
    terminate = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    async with connected() as db, connected() as administrator:
        await asyncio.gather(*(db.tag.count() for _ in range(3)))
        await administrator.query_raw(terminate)
        await asyncio.sleep(0.2)
        assert await db.tag.count() == 0

        async def in_transaction() -> None:
            async with db.tx() as tx:
                await tx.tag.create(data={"name": "lost"})
                await administrator.query_raw(terminate)
                await asyncio.sleep(0.2)
                await tx.tag.count()

        assert isinstance(await error_of(in_transaction()), errors.PrismaError)
        assert await db.tag.count() == 0
    async with connected(socket_timeout=1) as db:
        slow = await error_of(db.query_raw("SELECT pg_sleep(5)::text"))
        assert slow.data["user_facing_error"]["error_code"] == "P1008"
        assert await db.tag.count() == 0


async def killed_engine() -> None:
    """The client notices that its engine is gone, and works after connecting again."""
    async with connected() as db:
        process = db._engine.process
        process.send_signal(signal.SIGKILL)
        process.wait()
        lost = await error_of(db.tag.count())
        assert type(lost).__name__ in {"ConnectError", "ReadError", "RemoteProtocolError"}, lost
        await db.disconnect()
        await db.connect()
        assert await db.tag.count() == 0


async def waiting_client() -> None:
    """Print the process id of the engine, and wait to be killed."""
    async with connected() as db:
        print(db._engine.process.pid, flush=True)
        await asyncio.sleep(600)


async def pooled() -> None:
    """Behind a pooler in transaction mode, many clients share few connections."""
    async with connected() as first, connected() as second:
        for _ in range(5):
            await asyncio.gather(*(db.tag.count() for db in (first, second) for _ in range(10)))
        await transactions(first)
        await remove_all(first)


async def everything() -> None:
    """Run the scenarios of one client."""
    async with connected() as db:
        for scenario in (values, relations, mapped_errors, raw_queries, transactions, writers):
            await remove_all(db)
            await scenario(db)
            print(scenario.__name__, flush=True)
        await remove_all(db)


SCENARIOS = (everything, limits, lost_connections, killed_engine, waiting_client, pooled)

if __name__ == "__main__":
    for scenario in SCENARIOS:
        if scenario.__name__ in sys.argv[1:]:
            asyncio.run(scenario())
            print(scenario.__name__)
