"""What is broken on MongoDB alone, and what must not break with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.faults.application import DEADLINE
from tests.faults.conftest import Serving
from tests.faults.ledger import Ledger, Outcome
from tests.faults.load import kill_under_load, see_that_all_is_well
from tests.faults.mongodb import MongoDB, MongoDBSet

pytestmark = pytest.mark.anyio

# What is answered under load when nobody is refused because the server was away. Others may get in
# the way: a transaction that begins anew may find what they have changed.
SURVIVED = {200, 201, 204, 409, 412}


def on(*kinds: type[MongoDB]) -> pytest.MarkDecorator:
    """Run a test on these."""
    return pytest.mark.parametrize(
        "store", kinds, ids=lambda kind: kind.name, indirect=True, scope="session"
    )


# --- Who leads ------------------------------------------------------------------------------------


async def survive(store: MongoDB, bank: Serving, happen: Callable[[], None]) -> None:
    """See that under load nobody notices what happens to the store."""
    async with bank(retry_for=DEADLINE) as application:
        ledger = await Ledger.of(application)
        await kill_under_load(application, ledger, happen)
        assert {*ledger.answers} <= SURVIVED
        await see_that_all_is_well(application, ledger, store)


@on(MongoDBSet)
async def test_the_primary_is_killed_under_load(store: MongoDBSet, bank: Serving) -> None:
    """What the others did not have yet was not acknowledged, so it is done again."""
    await survive(store, bank, store.crash)


@on(MongoDB, MongoDBSet)
async def test_the_primary_steps_down_under_load(store: MongoDB, bank: Serving) -> None:
    await survive(store, bank, store.step_down)


@on(MongoDB)
async def test_the_server_is_restarted_under_load(store: MongoDB, bank: Serving) -> None:
    await survive(store, bank, store.restart)


# --- What begins anew -----------------------------------------------------------------------------


@on(MongoDB)
async def test_what_was_read_is_read_again_after_a_conflict(store: MongoDB, bank: Serving) -> None:
    """Two look whether a transfer was made, and find that it was not: one of them makes it."""
    async with bank() as application:
        ledger = await Ledger.of(application)
        first = asyncio.create_task(application.transfer("once", to="units", gate="once"))
        await application.arrivals("once")
        second = asyncio.create_task(application.transfer("once", to="units"))
        await store.conflict()
        await application.open_gate("once")
        assert [(await first).status, (await second).status] == [201, 201]
        ledger.transfers["once"] = Outcome.DONE
        await see_that_all_is_well(application, ledger, store)


@on(MongoDB)
@pytest.mark.parametrize("place", ["gate", "last_gate"], ids=["between", "before-the-commit"])
async def test_a_transaction_is_over_its_time(store: MongoDB, bank: Serving, place: str) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        with store.lifetime(1):
            transfer = asyncio.create_task(application.transfer("late", **{place: "late"}))
            await application.arrivals("late")
            await store.let_go()
            await application.open_gate("late")
            assert (await transfer).status == 201
        ledger.transfers["late"] = Outcome.DONE
        await see_that_all_is_well(application, ledger, store)
