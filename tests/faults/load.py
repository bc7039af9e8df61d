"""Clients that put load on the bank, and the check of it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.faults.application import Application
from tests.faults.ledger import Client, Ledger
from tests.faults.store import Store

CLIENTS = 4


@asynccontextmanager
async def load(ledger: Ledger, *applications: Application) -> AsyncIterator[None]:
    """Run clients that send requests during the block, each to one of the processes."""
    stopped = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for place in range(CLIENTS):
            client = Client(applications[place % len(applications)], ledger, place)
            tasks.create_task(client.work(stopped))
        try:
            yield
        finally:
            stopped.set()


async def break_under_load(bank: Application, ledger: Ledger, fault: Callable[[], None]) -> None:
    """Inject a fault twice under load, and check each time that requests succeed again."""
    async with load(ledger, bank):
        for _ in range(2):
            await ledger.progress(40)
            await asyncio.to_thread(fault)
        await ledger.progress(40)


async def check_recovery(bank: Application, ledger: Ledger, store: Store) -> None:
    """Check that new requests succeed, and that the database matches all earlier responses."""
    before = ledger.statuses.copy()
    after = Client(bank, ledger, 0)
    # A turn that no client has used.
    turn = -1 - sum(before.values())
    for send in (after.open, after.pay, after.pay_once, after.relabel, after.annotate):
        await send(turn)
    assert {*(ledger.statuses - before)} <= {200, 201, 204}, ledger.statuses - before
    await ledger.audit(store)
