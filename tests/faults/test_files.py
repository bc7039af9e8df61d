"""Faults of a database that is a file."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.application import Application
from tests.faults.conftest import Serving
from tests.faults.ledger import Ledger, Outcome
from tests.faults.load import check_recovery, load
from tests.faults.sql import SQLite

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("store", [SQLite], ids=["sqlite"], indirect=True, scope="session"),
]

# Removes root's permission to write to read-only files.
UNPRIVILEGED = ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []


@contextmanager
def full_disk(application: Application) -> Iterator[None]:
    """Prevent the files of the process from growing during the block."""
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
        assert {*ledger.statuses} <= {0, 200, 201, 204, 409, 412}
        await check_recovery(one, ledger, store)
        await check_recovery(other, ledger, store)


async def test_the_disk_is_full_for_a_while(store: SQLite, bank: Serving) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        async with load(ledger, application):
            await ledger.progress(20)
            with full_disk(application):
                await ledger.rejections(20)
                assert (await application.send("GET", "/teller/total")).is_done
            await ledger.progress(20)
        assert {*ledger.statuses} <= {200, 201, 204, 409, 412, 503}
        await check_recovery(application, ledger, store)


async def test_the_file_is_read_only(store: SQLite, bank: Serving) -> None:
    async with bank() as before:
        ledger = await Ledger.of(before)
    store.file.chmod(0o444)
    try:
        async with bank(prefix=UNPRIVILEGED) as application:
            application.join(before)
            assert (await application.send("GET", "/teller/total")).is_done
            assert (await application.send("GET", "/health/ready")).status == 200
            for number, to in enumerate(("transfers", "units")):
                response = await application.transfer(f"rejected {number}", to=to)
                assert (response.status, response.error) == (503, "database-unavailable")
                ledger.transfers[f"rejected {number}"] = Outcome.REJECTED
    finally:
        store.file.chmod(0o644)
    async with bank() as after:
        after.join(before)
        await check_recovery(after, ledger, store)
