"""What is broken, on every database, and what must not break with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.application import BALANCE, DEADLINE, Answer, Application
from tests.faults.conftest import Serving
from tests.faults.ledger import Client, Ledger, Outcome, outcome
from tests.faults.load import CLIENTS, kill_under_load, see_that_all_is_well
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
    """Keep so many connections of the application busy in the block; after it, they are idle."""
    asked = [
        asyncio.create_task(bank.send("GET", "/teller/total?gate=busy")) for _ in range(number)
    ]
    await bank.arrivals("busy", number)
    yield
    await bank.open_gate("busy")
    assert all(answer.is_done for answer in await asyncio.gather(*asked))


def test_every_database_is_broken() -> None:
    assert {kind.answers["database"] for kind in STORES} == {*CHOICES["database"]}


# --- What is killed -------------------------------------------------------------------------------


@on_servers
async def test_a_server_is_killed_under_load(store: Server, bank: Serving) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        await kill_under_load(application, ledger, store.crash)
        assert {*ledger.answers} <= {200, 201, 204, 409, 412, 503}
        await see_that_all_is_well(application, ledger, store)


async def test_the_application_is_killed_under_load(store: Store, bank: Serving) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        await kill_under_load(application, ledger, application.process.crash)
        assert {*ledger.answers} <= {0, 200, 201, 204, 409, 412}
        await see_that_all_is_well(application, ledger, store)


@on_servers
async def test_connections_are_terminated_while_idle(store: Server, bank: Serving) -> None:
    async with store.terminable() as (settings, terminate), bank(**settings) as application:
        ledger = await Ledger.of(application)
        async with connections_in_use(application, 5):
            pass
        await terminate()
        await see_that_all_is_well(application, ledger, store)


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
            answer = await transfer
            if not store.begins_anew:
                assert (answer.status, answer.error) == (503, "database-unavailable")
                assert "retry-after" in answer.headers
            assert answer.is_done is store.begins_anew
            ledger.transfers[f"cut {number}"] = outcome(answer)
        await see_that_all_is_well(application, ledger, store)


@on_servers
@pytest.mark.parametrize("what", ["question", "answer"])
async def test_a_commit_is_lost_on_the_way(store: Server, bank: Serving, what: str) -> None:
    """Nobody knows whether it was made: that is what is said, unless it can be asked for again."""
    async with lossy(store.address) as proxy:
        with store.through(proxy.port) as url:
            async with bank(url=url) as application:
                ledger = await Ledger.of(application)
                proxy.lose(what)
                answer = await application.transfer("lost")
                if not store.begins_anew:
                    assert (answer.status, answer.error) == (503, "outcome-unknown")
                    assert "retry-after" not in answer.headers
                assert answer.is_done is store.begins_anew
                was_made = what == "answer" or store.begins_anew
                ledger.transfers["lost"] = Outcome.DONE if was_made else Outcome.REFUSED
                # A unit that looks whether it was done may be run again.
                proxy.lose(what)
                answer = await application.transfer("lost once", to="units")
                assert answer.status == 201
                ledger.transfers["lost once"] = Outcome.DONE
                await see_that_all_is_well(application, ledger, store)


# --- What takes too long --------------------------------------------------------------------------


async def test_the_pool_is_exhausted(store: Store, bank: Serving) -> None:
    async with bank(pool_size=2, max_overflow=0, pool_timeout=0.2) as application:
        ledger = await Ledger.of(application)
        async with connections_in_use(application, 2):
            for to in ("transfers", "units"):
                answer = await application.transfer(to, to=to)
                assert (answer.status, answer.error) == (503, "database-unavailable")
                assert "retry-after" in answer.headers
                ledger.transfers[to] = Outcome.REFUSED
            account = f"/accounts/{application.accounts[0]}"
            assert (await application.send("GET", account)).status == 503
        await see_that_all_is_well(application, ledger, store)


async def test_a_statement_takes_too_long(store: Store, bank: Serving) -> None:
    async with bank(statement_timeout=0.5, pool_size=1, max_overflow=0) as application:
        ledger = await Ledger.of(application)
        for answer in (
            await application.send("GET", "/teller/slow"),
            await application.transfer("slow", slow=True),
        ):
            assert (answer.status, answer.error) == (504, "statement-timeout")
        ledger.transfers["slow"] = Outcome.REFUSED
        await see_that_all_is_well(application, ledger, store)


async def test_somebody_else_holds_a_lock(store: Store, bank: Serving) -> None:
    limits = {"statement_timeout": 0.5, "retry_for": 0.5}
    async with bank(**limits, pool_size=2, max_overflow=0) as application:
        ledger = await Ledger.of(application)
        payee = application.accounts[1]
        async with store.locking("accounts", payee):
            answers = [
                await application.transfer("late"),
                await application.send("PATCH", f"/accounts/{payee}", {"note": "late"}, '"1"'),
            ]
        assert [answer.status for answer in answers] == [store.locked_status] * 2
        ledger.transfers["late"] = Outcome.REFUSED
        await see_that_all_is_well(application, ledger, store)


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
            for answer in (
                await begun,
                await application.transfer("paused"),
                await application.send("GET", f"/accounts/{application.accounts[0]}"),
            ):
                assert (answer.status, answer.error) == store.silence
            assert (await application.send("GET", "/health/ready")).status == 503
            assert (await application.send("GET", "/health")).status == 200
            await application.process.stop()
        application.process.start()
        await store.let_go()
        ledger.transfers |= {"begun": Outcome.REFUSED, "paused": Outcome.REFUSED}
        await see_that_all_is_well(application, ledger, store)


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
            answer = await application.transfer("refused")
            # A pooler may wait for longer than its client does.
            assert (answer.status, answer.error) in {(503, "database-unavailable"), store.silence}
            ledger.transfers["refused"] = Outcome.REFUSED
            answer = await application.send("GET", "/teller/total")
            assert answer.status in {503, store.silence[0]}
        await see_that_all_is_well(application, ledger, store)


async def test_a_thousand_requests_share_a_pool_of_ten(store: Store, bank: Serving) -> None:
    async with bank(pool_size=10, max_overflow=0, pool_timeout=DEADLINE) as application:
        ledger = await Ledger.of(application)
        clients = [Client(application, ledger, place) for place in range(CLIENTS)]
        total = len(application.accounts) * BALANCE

        async def ask(number: int) -> None:
            if number % 2:
                await clients[number % CLIENTS].open(number)
            else:
                answer = await application.send("GET", "/teller/total")
                assert answer.content == total
                await ledger.note(answer)

        await asyncio.gather(*(ask(number) for number in range(1000)))
        assert {*ledger.answers} == {200, 201}
        await see_that_all_is_well(application, ledger, store)


async def test_of_a_thousand_requests_some_are_refused(store: Store, bank: Serving) -> None:
    """A pool of one, and no patience: what was refused is not there."""
    async with bank(pool_size=1, max_overflow=0, pool_timeout=0.05) as application:
        ledger = await Ledger.of(application)
        clients = [Client(application, ledger, place) for place in range(CLIENTS)]
        await asyncio.gather(
            *(clients[number % CLIENTS].pay(number) for number in range(300)),
        )
        assert {*ledger.answers} == {201, 503}
        await see_that_all_is_well(application, ledger, store)


# --- Who gives up ---------------------------------------------------------------------------------


async def test_a_client_goes_away(store: Store, bank: Serving) -> None:
    async with bank(pool_size=1, max_overflow=0) as application:
        ledger = await Ledger.of(application)
        transfer = asyncio.create_task(application.transfer("left alone", gate="alone"))
        await application.arrivals("alone")
        transfer.cancel()
        await asyncio.wait({transfer})
        ledger.transfers["left alone"] = Outcome.UNKNOWN
        await application.open_gate("alone")
        await see_that_all_is_well(application, ledger, store)


@pytest.mark.parametrize("slow", [False, True], ids=["between", "within"])
async def test_a_task_is_cancelled(store: Store, bank: Serving, slow: bool) -> None:
    """Between two statements, and within one. The one connection has to come back."""
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
        ledger.transfers["left"] = Outcome.REFUSED
        await see_that_all_is_well(application, ledger, store)


# --- Who gets in each other's way -----------------------------------------------------------------


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
            ledger.accounts[name] = ledger.transfers[name] = Outcome.REFUSED
        await see_that_all_is_well(application, ledger, store)


async def test_of_many_writers_with_a_version_one_is_first(store: Store, bank: Serving) -> None:
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
        await see_that_all_is_well(application, ledger, store)


async def test_without_a_version_the_last_writer_wins(store: Store, bank: Serving) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        made = await application.send("POST", "/branches", {"street": "", "city": ""})
        changes = [{"street": f"street {n}", "city": f"city {n}"} for n in range(20)]
        path = f"/branches/{made.content['id']}"
        answers = await asyncio.gather(
            *(application.send("PATCH", path, change) for change in changes)
        )
        assert [answer.status for answer in answers] == [200] * 20
        assert [answer.content["city"] for answer in answers] == [c["city"] for c in changes]
        [found] = await store.records("branches", id=made.content["id"])
        assert {"street": found["street"], "city": found["city"]} in changes
        await see_that_all_is_well(application, ledger, store)


async def test_a_record_is_deleted_that_another_is_about_to_name(
    store: Store, bank: Serving
) -> None:
    """Whoever deletes it, in another process, waits, and then takes its name from there."""
    async with bank() as one, bank() as other:
        ledger = await Ledger.of(one)
        other.join(one)
        made = await one.send("POST", "/branches", {"street": "", "city": ""})
        branch = made.content["id"]
        account = {"name": "named", "branch_id": branch}
        opening = asyncio.create_task(one.send("POST", "/teller/accounts?gate=named", account))
        await one.arrivals("named")
        deleting = asyncio.create_task(other.send("DELETE", f"/branches/{branch}"))
        assert not (await asyncio.wait({deleting}, timeout=0.5))[0]
        await one.open_gate("named")
        assert [(await opening).status, (await deleting).status] == [201, 204]
        assert await store.records("branches", id=branch) == []
        accounts = await store.records("accounts", owner_id=ledger.customer)
        assert [each["branch_id"] for each in accounts if each["name"] == "named"] == [None]
        ledger.accounts["named"] = Outcome.DONE
        await see_that_all_is_well(one, ledger, store)


async def test_of_many_new_records_one_has_what_is_taken(store: Store, bank: Serving) -> None:
    """All are written, or none; and whoever asked is told which field it was."""
    async with bank() as application:
        ledger = await Ledger.of(application)
        codes = [f"{ledger.customer} {number}" for number in range(2000)]

        async def open_branches(codes: list[str]) -> Answer:
            branches = [{"street": "", "city": "", "code": code} for code in codes]
            return await application.send("POST", "/teller/branches", branches)

        assert (await open_branches(codes[-1:])).is_done
        for taken in (codes, [*codes[:3], codes[0]]):
            answer = await open_branches(taken)
            assert (answer.status, answer.error) == (409, "conflict")
            assert answer.content["fields"] == ["code"]
        found = [branch["code"] for branch in await store.records("branches")]
        assert [code for code in found if code in codes] == codes[-1:]
        await see_that_all_is_well(application, ledger, store)


@on_servers
@pytest.mark.parametrize("to", ["transfers", "units"])
async def test_two_transfers_wait_for_each_other(store: Server, bank: Serving, to: str) -> None:
    async with bank() as application:
        ledger = await Ledger.of(application)
        one, other = application.accounts[:2]
        both = asyncio.gather(
            application.transfer("there", to=to, gate="both", payer_id=one, payee_id=other),
            application.transfer("back", to=to, gate="both", payer_id=other, payee_id=one),
        )
        await application.arrivals("both", 2)
        await application.open_gate("both")
        answers = await both
        statuses = sorted(answer.status for answer in answers)
        is_told = to == "transfers" and not store.begins_anew
        assert statuses == ([201, 409] if is_told else [201, 201])
        ledger.transfers |= dict(zip(("there", "back"), map(outcome, answers), strict=True))
        await see_that_all_is_well(application, ledger, store)
