"""What is broken where the database is a file, and what must not break with it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.application import Application
from tests.faults.conftest import Serving
from tests.faults.ledger import Ledger, Outcome
from tests.faults.load import load, see_that_all_is_well
from tests.faults.sql import SQLite

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("store", [SQLite], ids=["sqlite"], indirect=True, scope="session"),
]

# What takes from root that it may write whatever it likes.
LIKE_ANYBODY = ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []


@contextmanager
def full_disk(application: Application) -> Iterator[None]:
    """No file of the process may become longer than it surely is."""
    pid, (before, most) = application.process.running.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (8192, most))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (before, most))


async def test_two_processes_write_and_one_of_them_is_killed(store: SQLite, bank: Serving) -> None:
    async with bank() as one, bank() as other:
        ledger = await Ledger.of(one)
        other.join(one)
        async with load(ledger, one, other):
            await ledger.progress(40)
            other.process.kill()
            await ledger.progress(20)
            other.process.start()
            await ledger.progress(40)
        assert {*ledger.answers} <= {0, 200, 201, 204, 409, 412}
        await see_that_all_is_well(one, ledger, store)
        await see_that_all_is_well(other, ledger, store)


async def test_the_disk_is_full_for_a_while(store: SQLite, bank: Serving) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        async with load(ledger, application):
            await ledger.progress(20)
            with full_disk(application):
                await ledger.refusals(20)
                assert (await application.send("GET", "/teller/total")).is_done
            await ledger.progress(20)
        assert {*ledger.answers} <= {200, 201, 204, 409, 412, 503}
        await see_that_all_is_well(application, ledger, store)


async def test_the_file_may_only_be_read(store: SQLite, bank: Serving) -> None:
    async with bank() as before:
        ledger = await Ledger.of(before)
    store.file.chmod(0o444)
    try:
        async with bank(prefix=LIKE_ANYBODY) as application:
            application.join(before)
            assert (await application.send("GET", "/teller/total")).is_done
            assert (await application.send("GET", "/health/ready")).status == 200
            for number, to in enumerate(("transfers", "units")):
                answer = await application.transfer(f"refused {number}", to=to)
                assert (answer.status, answer.error) == (503, "database-unavailable")
                ledger.transfers[f"refused {number}"] = Outcome.REFUSED
    finally:
        store.file.chmod(0o644)
    async with bank() as after:
        after.join(before)
        await see_that_all_is_well(after, ledger, store)
