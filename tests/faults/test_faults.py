"""Faults on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.application import BALANCE, DEADLINE, Application, Response
from tests.faults.conftest import Serving
from tests.faults.ledger import Client, Ledger, Outcome, outcome
from tests.faults.load import CLIENTS, break_under_load, check_recovery
from tests.faults.proxy import lossy
from tests.faults.store import DOOMED, Server, Store
from tests.faults.stores import DEFERRING, SERVERS, STORES
from tests.oracle import CHOICES

pytestmark = pytest.mark.anyio

on_servers = pytest.mark.parametrize(
    "store", SERVERS, ids=lambda kind: kind.name, indirect=True, scope="session"
)


@asynccontextmanager
async def connections_in_use(bank: Application, number: int) -> AsyncIterator[None]:
    """Keep this number of the application's connections busy in the block, and idle after it."""
    asked = [
        asyncio.create_task(bank.send("GET", "/teller/total?gate=busy")) for _ in range(number)
    ]
    await bank.arrivals("busy", number)
    yield
    await bank.open_gate("busy")
    assert all(response.is_done for response in await asyncio.gather(*asked))


def test_every_database_is_covered() -> None:
    assert {kind.answers["database"] for kind in STORES} == {*CHOICES["database"]}


# --- Crashes and lost connections -----------------------------------------------------------------


@on_servers
async def test_a_server_is_killed_under_load(store: Server, bank: Serving) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        await break_under_load(application, ledger, store.crash)
        assert {*ledger.statuses} <= {200, 201, 204, 409, 412, 503}
        await check_recovery(application, ledger, store)


async def test_the_application_is_killed_under_load(store: Store, bank: Serving) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        await break_under_load(application, ledger, application.process.crash)
        assert {*ledger.statuses} <= {0, 200, 201, 204, 409, 412}
        await check_recovery(application, ledger, store)


@on_servers
async def test_connections_are_terminated_while_idle(store: Server, bank: Serving) -> None:
    async with store.terminable() as (settings, terminate), bank(**settings) as application:
        ledger = await Ledger.of(application)
        async with connections_in_use(application, 5):
            pass
        await terminate()
        await check_recovery(application, ledger, store)


@on_servers
async def test_connections_are_terminated_in_a_transaction(store: Server, bank: Serving) -> None:
    async with store.terminable() as (settings, terminate), bank(**settings) as application:
        ledger = await Ledger.of(application)
        transfers = [
            asyncio.create_task(application.transfer(f"cut {number}", gate="cut", payer_id=payer))
            for number, payer in enumerate(application.accounts)
        ]
        await application.arrivals("cut", len(transfers))
        await terminate()
        await application.open_gate("cut")
        for number, transfer in enumerate(transfers):
            response = await transfer
            if not store.replays_transactions:
                assert (response.status, response.error) == (503, "database-unavailable")
                assert "retry-after" in response.headers
            assert response.is_done is store.replays_transactions
            ledger.transfers[f"cut {number}"] = outcome(response)
        await check_recovery(application, ledger, store)


@on_servers
@pytest.mark.parametrize("what", ["request", "response"])
async def test_a_commit_is_lost_in_transit(store: Server, bank: Serving, what: str) -> None:
    """The response says that the outcome is unknown, unless the commit can be retried."""
    async with lossy(store.address) as proxy:
        with store.through(proxy.port) as url:
            async with bank(url=url) as application:
                ledger = await Ledger.of(application)
                proxy.lose(what)
                response = await application.transfer("lost")
                if not store.replays_transactions:
                    assert (response.status, response.error) == (503, "outcome-unknown")
                    assert "retry-after" not in response.headers
                assert response.is_done is store.replays_transactions
                was_made = what == "response" or store.replays_transactions
                ledger.transfers["lost"] = Outcome.DONE if was_made else Outcome.REJECTED
                # A unit that checks whether it was done can be retried.
                proxy.lose(what)
                response = await application.transfer("lost once", to="units")
                assert response.status == 201
                ledger.transfers["lost once"] = Outcome.DONE
                await check_recovery(application, ledger, store)


# --- Timeouts and limits --------------------------------------------------------------------------


async def test_the_pool_is_exhausted(store: Store, bank: Serving) -> None:
    async with bank(pool_size=2, max_overflow=0, pool_timeout=0.2) as application:
        ledger = await Ledger.of(application)
        async with connections_in_use(application, 2):
            for to in ("transfers", "units"):
                response = await application.transfer(to, to=to)
                assert (response.status, response.error) == (503, "database-unavailable")
                assert "retry-after" in response.headers
                ledger.transfers[to] = Outcome.REJECTED
            account = f"/accounts/{application.accounts[0]}"
            assert (await application.send("GET", account)).status == 503
        await check_recovery(application, ledger, store)


async def test_a_statement_takes_too_long(store: Store, bank: Serving) -> None:
    async with bank(statement_timeout=0.5, pool_size=1, max_overflow=0) as application:
        ledger = await Ledger.of(application)
        for response in (
            await application.send("GET", "/teller/slow"),
            await application.transfer("slow", slow=True),
        ):
            assert (response.status, response.error) == (504, "statement-timeout")
        ledger.transfers["slow"] = Outcome.REJECTED
        await check_recovery(application, ledger, store)


async def test_another_client_holds_a_lock(store: Store, bank: Serving) -> None:
    limits = {"statement_timeout": 0.5, "retry_for": 0.5}
    async with bank(**limits, pool_size=2, max_overflow=0) as application:
        ledger = await Ledger.of(application)
        payee = application.accounts[1]
        async with store.locking("accounts", payee):
            responses = [
                await application.transfer("late"),
                await application.send("PATCH", f"/accounts/{payee}", {"note": "late"}, '"1"'),
            ]
        assert [response.status for response in responses] == [store.locked_status] * 2
        ledger.transfers["late"] = Outcome.REJECTED
        await check_recovery(application, ledger, store)


@on_servers
async def test_the_server_is_paused(store: Server, bank: Serving) -> None:
    limits = {"pool_timeout": 1, "connect_timeout": 2, "statement_timeout": 1, "retry_for": 0.5}
    async with bank(**limits, health_timeout=0.5, quiet=False) as application:
        ledger = await Ledger.of(application)
        async with connections_in_use(application, 5):
            pass
        begun = asyncio.create_task(application.transfer("begun", gate="begun"))
        await application.arrivals("begun")
        with store.paused():
            await application.open_gate("begun")
            for response in (
                await begun,
                await application.transfer("paused"),
                await application.send("GET", f"/accounts/{application.accounts[0]}"),
            ):
                assert (response.status, response.error) == store.hang_error
            assert (await application.send("GET", "/health/ready")).status == 503
            assert (await application.send("GET", "/health")).status == 200
            await application.process.stop()
        application.process.start()
        await store.wait_for_release()
        ledger.transfers |= {"begun": Outcome.REJECTED, "paused": Outcome.REJECTED}
        await check_recovery(application, ledger, store)


@on_servers
async def test_the_server_has_no_connection_left(store: Server, bank: Serving) -> None:
    limits = {"retry_for": 0.5, "statement_timeout": 1}
    async with (
        store.terminable() as (settings, terminate),
        bank(**limits, **settings) as application,
    ):
        ledger = await Ledger.of(application)
        await terminate()
        async with store.full():
            response = await application.transfer("rejected")
            # A pooler may wait longer than its client.
            assert (response.status, response.error) in {
                (503, "database-unavailable"),
                store.hang_error,
            }
            ledger.transfers["rejected"] = Outcome.REJECTED
            response = await application.send("GET", "/teller/total")
            assert response.status in {503, store.hang_error[0]}
        await check_recovery(application, ledger, store)


async def test_a_thousand_requests_share_a_pool_of_ten(store: Store, bank: Serving) -> None:
    async with bank(pool_size=10, max_overflow=0, pool_timeout=DEADLINE) as application:
        ledger = await Ledger.of(application)
        clients = [Client(application, ledger, place) for place in range(CLIENTS)]
        total = len(application.accounts) * BALANCE

        async def ask(number: int) -> None:
            if number % 2:
                await clients[number % CLIENTS].open(number)
            else:
                response = await application.send("GET", "/teller/total")
                assert response.content == total
                await ledger.note(response)

        await asyncio.gather(*(ask(number) for number in range(1000)))
        assert {*ledger.statuses} == {200, 201}
        await check_recovery(application, ledger, store)


async def test_requests_beyond_a_small_pool_are_rejected(store: Store, bank: Serving) -> None:
    """With a pool of one and a short timeout, rejected transfers are not stored."""
    async with bank(pool_size=1, max_overflow=0, pool_timeout=0.05) as application:
        ledger = await Ledger.of(application)
        clients = [Client(application, ledger, place) for place in range(CLIENTS)]
        await asyncio.gather(
            *(clients[number % CLIENTS].pay(number) for number in range(300)),
        )
        assert {*ledger.statuses} == {201, 503}
        await check_recovery(application, ledger, store)


# --- Cancellation ---------------------------------------------------------------------------------


async def test_a_client_disconnects(store: Store, bank: Serving) -> None:
    async with bank(pool_size=1, max_overflow=0) as application:
        ledger = await Ledger.of(application)
        transfer = asyncio.create_task(application.transfer("abandoned", gate="abandoned"))
        await application.arrivals("abandoned")
        transfer.cancel()
        await asyncio.wait({transfer})
        ledger.transfers["abandoned"] = Outcome.UNKNOWN
        await application.open_gate("abandoned")
        await check_recovery(application, ledger, store)


@pytest.mark.parametrize("slow", [False, True], ids=["between", "within"])
async def test_a_task_is_cancelled(store: Store, bank: Serving, slow: bool) -> None:
    """Between two statements, and within one. The only connection returns to the pool."""
    async with bank(pool_size=1, max_overflow=0, statement_timeout=10 * DEADLINE) as application:
        ledger = await Ledger.of(application)
        if slow:
            await application.open_gate("left")
        work = application.transfer("left", to="patient-transfers", gate="left", slow=slow)
        transfer = asyncio.create_task(work)
        await application.arrivals("left")
        transfer.cancel()
        await asyncio.wait({transfer})
        await application.arrivals("cancelled")
        ledger.transfers["left"] = Outcome.REJECTED
        await check_recovery(application, ledger, store)


# --- Conflicts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "store", DEFERRING, ids=lambda kind: kind.name, indirect=True, scope="session"
)
async def test_a_commit_fails(store: Store, bank: Serving) -> None:
    async with bank(pool_size=1, max_overflow=0) as application:
        ledger = await Ledger.of(application)
        for number in range(3):
            name = f"{DOOMED} {number}"
            opened = await application.send("POST", "/accounts", {"name": name})
            paid = await application.transfer(name)
            assert [opened.status, paid.status] == [422, 422]
            ledger.accounts[name] = ledger.transfers[name] = Outcome.REJECTED
        await check_recovery(application, ledger, store)


async def test_one_of_many_writers_with_the_same_version_wins(store: Store, bank: Serving) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        path = f"/accounts/{application.accounts[2]}"

        async def annotate(note: str) -> int:
            return (await application.send("PATCH", path, {"note": note}, '"1"')).status

        notes = [f"note {number}" for number in range(20)]
        statuses = await asyncio.gather(*map(annotate, notes))
        assert sorted(statuses) == [200] + [412] * 19
        [found] = await store.records("accounts", id=application.accounts[2])
        assert (found["note"], found["version"]) == (notes[statuses.index(200)], 2)
        await check_recovery(application, ledger, store)


async def test_without_a_version_the_last_writer_wins(store: Store, bank: Serving) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        made = await application.send("POST", "/branches", {"street": "", "city": ""})
        changes = [{"street": f"street {n}", "city": f"city {n}"} for n in range(20)]
        path = f"/branches/{made.content['id']}"
        responses = await asyncio.gather(
            *(application.send("PATCH", path, change) for change in changes)
        )
        assert [response.status for response in responses] == [200] * 20
        assert [response.content["city"] for response in responses] == [c["city"] for c in changes]
        [found] = await store.records("branches", id=made.content["id"])
        assert {"street": found["street"], "city": found["city"]} in changes
        await check_recovery(application, ledger, store)


async def test_a_record_is_deleted_during_a_new_reference_to_it(
    store: Store, bank: Serving
) -> None:
    """The deletion in another process waits, and then sets the new reference to null."""
    async with bank() as one, bank() as other:
        ledger = await Ledger.of(one)
        other.join(one)
        made = await one.send("POST", "/branches", {"street": "", "city": ""})
        branch = made.content["id"]
        account = {"name": "referring", "branch_id": branch}
        opening = asyncio.create_task(one.send("POST", "/teller/accounts?gate=referring", account))
        await one.arrivals("referring")
        deleting = asyncio.create_task(other.send("DELETE", f"/branches/{branch}"))
        assert not (await asyncio.wait({deleting}, timeout=0.5))[0]
        await one.open_gate("referring")
        assert [(await opening).status, (await deleting).status] == [201, 204]
        assert await store.records("branches", id=branch) == []
        accounts = await store.records("accounts", owner_id=ledger.customer)
        assert [each["branch_id"] for each in accounts if each["name"] == "referring"] == [None]
        ledger.accounts["referring"] = Outcome.DONE
        await check_recovery(one, ledger, store)


async def test_one_of_many_new_records_violates_a_unique_constraint(
    store: Store, bank: Serving
) -> None:
    """All or none are written, and the response contains the conflicting field."""
    async with bank() as application:
        ledger = await Ledger.of(application)
        codes = [f"{ledger.customer} {number}" for number in range(2000)]

        async def open_branches(codes: list[str]) -> Response:
            branches = [{"street": "", "city": "", "code": code} for code in codes]
            return await application.send("POST", "/teller/branches", branches)

        assert (await open_branches(codes[-1:])).is_done
        for taken in (codes, [*codes[:3], codes[0]]):
            response = await open_branches(taken)
            assert (response.status, response.error) == (409, "conflict")
            assert response.content["fields"] == ["code"]
        found = [branch["code"] for branch in await store.records("branches")]
        assert [code for code in found if code in codes] == codes[-1:]
        await check_recovery(application, ledger, store)


@on_servers
@pytest.mark.parametrize("to", ["transfers", "units"])
async def test_two_transfers_deadlock(store: Server, bank: Serving, to: str) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        one, other = application.accounts[:2]
        both = asyncio.gather(
            application.transfer("there", to=to, gate="both", payer_id=one, payee_id=other),
            application.transfer("back", to=to, gate="both", payer_id=other, payee_id=one),
        )
        await application.arrivals("both", 2)
        await application.open_gate("both")
        responses = await both
        statuses = sorted(response.status for response in responses)
        one_fails = to == "transfers" and not store.replays_transactions
        assert statuses == ([201, 409] if one_fails else [201, 201])
        ledger.transfers |= dict(zip(("there", "back"), map(outcome, responses), strict=True))
        await check_recovery(application, ledger, store)
