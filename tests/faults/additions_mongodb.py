"""The custom code of the bank, with MongoDB commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bank.database import Connection, ReadSession, WriteSession
from bank.errors import NotFound
from bank.models.account import Account
from bank.models.base import Key


async def add(session: WriteSession, owner: Key, key: Key, amount: int) -> None:
    """Add an amount to the current balance, not to the one that was read earlier."""
    wanted = {"_id": key, "owner_id": owner, "deleted_at": None}
    change = {"$inc": {"balance": amount, "version": 1}}

    async def write(on: Connection) -> int:
        changed = await on.of(Account).update_one(wanted, change, session=on.session)
        return int(changed.matched_count)

    if await session.run(write) != 1:
        raise NotFound("Account", key)


async def sum_of_balances(
    session: ReadSession, owner: Key, pause: Callable[[], Awaitable[None]]
) -> int:
    """Return a customer's total. Pauses inside the operation, which holds a connection."""
    visible = {"owner_id": owner, "deleted_at": None}
    adding = [{"$match": visible}, {"$group": {"_id": 1, "sum": {"$sum": "$balance"}}}]

    async def read(on: Connection) -> int:
        [total] = await (await on.of(Account).aggregate(adding, session=on.session)).to_list()
        await pause()
        return int(total["sum"])

    total: int = await session.run(read)
    return total


async def run_slowly(session: ReadSession | WriteSession) -> None:
    """Run an operation that exceeds every timeout."""

    async def sleep(on: Connection) -> None:
        await on.unscoped(Account).find_one({"$where": "sleep(60000) || true"}, session=on.session)

    await session.run(sleep)
