"""Faults on MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.faults.application import DEADLINE
from tests.faults.conftest import Serving
from tests.faults.ledger import Ledger, Outcome
from tests.faults.load import break_under_load, check_recovery
from tests.faults.mongodb import MongoDB, MongoDBSet

pytestmark = pytest.mark.anyio

# The statuses under load if no request fails because the server is unavailable. Conflicts are
# possible: a replayed transaction may find changes of others.
SURVIVED = {200, 201, 204, 409, 412}


def on(*kinds: type[MongoDB]) -> pytest.MarkDecorator:
    """Run a test on these kinds of database."""
    return pytest.mark.parametrize(
        "store", kinds, ids=lambda kind: kind.name, indirect=True, scope="session"
    )


# --- Failover -------------------------------------------------------------------------------------


async def survive(store: MongoDB, bank: Serving, fault: Callable[[], None]) -> None:
    """Check that a fault under load causes no errors."""
    async with bank(retry_for=DEADLINE) as application:
        ledger = await Ledger.of(application)
        await break_under_load(application, ledger, fault)
        assert {*ledger.statuses} <= SURVIVED
        await check_recovery(application, ledger, store)


@on(MongoDBSet)
async def test_the_primary_is_killed_under_load(store: MongoDBSet, bank: Serving) -> None:
    """Writes that were not replicated were not acknowledged, so they are retried."""
    await survive(store, bank, store.crash)


@on(MongoDB, MongoDBSet)
async def test_the_primary_steps_down_under_load(store: MongoDB, bank: Serving) -> None:
    await survive(store, bank, store.step_down)


@on(MongoDB)
async def test_the_server_is_restarted_under_load(store: MongoDB, bank: Serving) -> None:
    await survive(store, bank, store.restart)


# --- Replayed transactions ------------------------------------------------------------------------


@on(MongoDB)
async def test_what_was_read_is_read_again_after_a_conflict(store: MongoDB, bank: Serving) -> None:
    """Two units check whether a transfer exists and find that it does not: one creates it."""
    async with bank() as application:
        ledger = await Ledger.of(application)
        first = asyncio.create_task(application.transfer("once", to="units", gate="once"))
        await application.arrivals("once")
        second = asyncio.create_task(application.transfer("once", to="units"))
        await store.conflict()
        await application.open_gate("once")
        assert [(await first).status, (await second).status] == [201, 201]
        ledger.transfers["once"] = Outcome.DONE
        await check_recovery(application, ledger, store)


@on(MongoDB)
@pytest.mark.parametrize("place", ["gate", "last_gate"], ids=["between", "before-the-commit"])
async def test_a_transaction_exceeds_its_lifetime(
    store: MongoDB, bank: Serving, place: str
) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        with store.lifetime(1):
            transfer = asyncio.create_task(application.transfer("late", **{place: "late"}))
            await application.arrivals("late")
            await store.wait_for_release()
            await application.open_gate("late")
            assert (await transfer).status == 201
        ledger.transfers["late"] = Outcome.DONE
        await check_recovery(application, ledger, store)
