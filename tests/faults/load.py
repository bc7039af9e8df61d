"""Clients that keep the bank busy, and a look at it when they are done."""

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
    """Clients that send requests for as long as the block runs, each to one of the processes."""
    stopped = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for place in range(CLIENTS):
            client = Client(applications[place % len(applications)], ledger, place)
            tasks.create_task(client.work(stopped))
        try:
            yield
        finally:
            stopped.set()


async def kill_under_load(bank: Application, ledger: Ledger, kill: Callable[[], None]) -> None:
    """Kill twice what is at work, and see each time that the work goes on."""
    async with load(ledger, bank):
        for _ in range(2):
            await ledger.progress(40)
            await asyncio.to_thread(kill)
        await ledger.progress(40)


async def see_that_all_is_well(bank: Application, ledger: Ledger, store: Store) -> None:
    """Whatever is asked for next is done, and what was asked for before is as it was answered."""
    before = ledger.answers.copy()
    after = Client(bank, ledger, 0)
    # No turn that a client has had.
    turn = -1 - sum(before.values())
    for send in (after.open, after.pay, after.pay_once, after.relabel, after.annotate):
        await send(turn)
    assert {*(ledger.answers - before)} <= {200, 201, 204}, ledger.answers - before
    await ledger.audit(store)
