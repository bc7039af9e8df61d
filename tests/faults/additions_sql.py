"""The custom code of the bank, in SQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bank.database import ReadSession, WriteSession
from bank.errors import NotFound
from bank.models.account import Account
from bank.models.base import Key
from sqlalchemy import func, select, text, update

from tests.data_layer.server import SLOW


async def add(session: WriteSession, owner: Key, key: Key, amount: int) -> None:
    """Add an amount to the current balance, not to the one that was read earlier."""
    changed = await session.run(
        update(Account)
        .where(Account.id == key, Account.owner_id == owner, Account.deleted_at.is_(None))
        .values(balance=Account.balance + amount, version=Account.version + 1)
    )
    if changed.rowcount != 1:
        raise NotFound("Account", key)


async def sum_of_balances(
    session: ReadSession, owner: Key, pause: Callable[[], Awaitable[None]]
) -> int:
    """Return a customer's total. Pauses while it holds a connection."""
    visible = Account.owner_id == owner, Account.deleted_at.is_(None)
    statement = select(func.sum(Account.balance)).where(*visible)
    total = int((await session.run(statement)).scalar_one())
    await pause()
    return total


async def run_slowly(session: ReadSession | WriteSession) -> None:
    """Run a statement that exceeds every timeout."""
    await session.run(text(SLOW))
