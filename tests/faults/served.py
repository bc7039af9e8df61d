"""The application that is broken: the generated API, and what somebody would add to it.

    python served.py SOCKET ADDITIONS

It runs in the folder of the project. SOCKET is the number of a listening socket that it inherits;
ADDITIONS names the module that says what is added in the words of the database.
It ends when its standard input does, and so with whoever started it.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import sys
import threading
from collections import defaultdict
from functools import partial
from typing import Any

import uvicorn
from bank.api.app import create_app
from bank.api.auth import ADMIN, CurrentPrincipal, issue_token
from bank.api.sessions import ReadSessionDep, WriteSessionDep
from bank.database import Database, WriteSession
from bank.models.base import Key
from bank.repositories import (
    AccountRepository,
    BranchRepository,
    CustomerRepository,
    LabelRepository,
    ReceiptRepository,
)
from bank.schemas import AccountCreate, BranchCreate, CustomerCreate, LabelCreate, ReceiptCreate
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel

additions: Any = importlib.import_module(sys.argv[2])

router = APIRouter(prefix="/teller")


class Gate:
    """A place in the middle of work, where a test finds it and may hold it."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self._arrived = 0
        self._arrival = asyncio.Condition()

    async def arrive(self) -> None:
        """Say that somebody is here, and go on when the gate is open."""
        async with self._arrival:
            self._arrived += 1
            self._arrival.notify_all()
        await self.opened.wait()

    async def arrivals(self, number: int) -> None:
        """Wait until so many have come."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: self._arrived >= number)


gates: defaultdict[str, Gate] = defaultdict(Gate)


class Order(BaseModel):
    """Money to be moved.

    Between the two accounts it may stop at a gate, or be slow; before the commit, at the last gate.
    """

    number: str
    payer_id: Key
    payee_id: Key
    amount: int = 1
    gate: str | None = None
    slow: bool = False
    last_gate: str | None = None


class Opened(BaseModel):
    """Who has come, with what, and the token to say so."""

    customer: Key
    accounts: list[Key]
    labels: list[Key]
    token: str


async def transfer(session: WriteSession, owner: Key, order: Order) -> None:
    """Change two accounts and write a receipt: three statements that belong together."""
    await additions.add(session, owner, order.payer_id, -order.amount)
    if order.gate:
        await gates[order.gate].arrive()
    if order.slow:
        await additions.be_slow(session)
    await additions.add(session, owner, order.payee_id, order.amount)
    receipt = order.model_dump(include={"number", "payer_id", "payee_id", "amount"})
    await ReceiptRepository(session, owner=owner).create(ReceiptCreate(**receipt))
    if order.last_gate:
        await gates[order.last_gate].arrive()


async def transfer_once(order: Order, owner: Key, session: WriteSession) -> None:
    """Move money, unless there is a receipt that it was moved."""
    receipts = ReceiptRepository(session, owner=owner)
    if not await receipts.count(number=order.number):
        await transfer(session, owner, order)


@router.post("/transfers", status_code=201)
async def post_transfer(
    order: Order, principal: CurrentPrincipal, session: WriteSessionDep
) -> None:
    """In the transaction of the request."""
    await transfer(session, principal.id, order)


@router.post("/units", status_code=201)
async def post_unit(order: Order, principal: CurrentPrincipal, request: Request) -> None:
    """As a unit that is run again when the database was away."""
    database: Database = request.app.state.database
    await database.run_unit(partial(transfer_once, order, principal.id))


@router.post("/patient-transfers", status_code=201)
async def post_while_listened_to(
    order: Order, principal: CurrentPrincipal, request: Request
) -> Response:
    """In a task that is cancelled when the client goes away."""

    async def work() -> None:
        async with request.app.state.database.transaction() as session:
            await transfer(session, principal.id, order)

    working, gone = asyncio.ensure_future(work()), asyncio.ensure_future(request.receive())
    await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        working.cancel()
        await asyncio.wait({working})
        gates["cancelled"].opened.set()
        await gates["cancelled"].arrive()
        return Response(status_code=499)
    gone.cancel()
    working.result()
    return Response(status_code=201)


@router.post("/branches", status_code=201)
async def open_branches(
    branches: list[BranchCreate], _: CurrentPrincipal, session: WriteSessionDep
) -> None:
    """Open many at once."""
    await BranchRepository(session).create_many(branches)


@router.post("/accounts", status_code=201)
async def open_account(
    account: AccountCreate, principal: CurrentPrincipal, session: WriteSessionDep, gate: str
) -> None:
    """Open one, and stop at a gate before the commit."""
    await AccountRepository(session, owner=principal.id).create(account)
    await gates[gate].arrive()


@router.get("/total")
async def get_total(
    principal: CurrentPrincipal, session: ReadSessionDep, gate: str | None = None
) -> int:
    """Add up all balances; may stop at a gate, with a connection in hand."""

    async def pause() -> None:
        if gate:
            await gates[gate].arrive()

    total: int = await additions.sum_of_balances(session, principal.id, pause)
    return total


@router.get("/slow")
async def get_slowly(_: CurrentPrincipal, session: ReadSessionDep) -> None:
    """Ask what takes longer than anybody waits."""
    await additions.be_slow(session)


@router.get("/gates/{name}")
async def wait_for_arrivals(name: str, arrivals: int) -> None:
    """Answer when so many have come to a gate."""
    await gates[name].arrivals(arrivals)


@router.put("/gates/{name}")
async def open_gate(name: str) -> None:
    """Let everybody through, from now on."""
    gates[name].opened.set()


@router.post("/customers", status_code=201)
async def open_accounts(request: Request, balances: list[int]) -> Opened:
    """Begin a scenario: a customer with accounts, labels to put on them, and a token."""
    database: Database = request.app.state.database
    async with database.transaction() as session:
        customer = await CustomerRepository(session).create(CustomerCreate(name="Somebody"))
        accounts = AccountRepository(session, owner=customer.id)
        keys = [
            (await accounts.create(AccountCreate(name="", balance=each))).id for each in balances
        ]
        labels = LabelRepository(session)
        labelled = [(await labels.create(LabelCreate(name="A label"))).id for _ in range(4)]
    token = issue_token(request.app.state.settings, customer.id, [ADMIN])
    return Opened(customer=customer.id, accounts=keys, labels=labelled, token=token)


def application() -> FastAPI:
    """The generated application with the routes above."""
    app: FastAPI = create_app()
    app.include_router(router)
    return app


def end_with_starter() -> None:
    """Wait for the end of the pipe that whoever started this holds."""
    os.read(0, 1)
    os._exit(1)


def main(descriptor: int) -> None:
    """Serve until told to end."""
    threading.Thread(target=end_with_starter, daemon=True).start()
    server = uvicorn.Server(uvicorn.Config(application(), log_level="warning"))
    server.run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(int(sys.argv[1]))
