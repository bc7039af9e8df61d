"""The application under test: the generated API, and custom code that a user would add.

    python served.py SOCKET ADDITIONS

Run it in the folder of the project. SOCKET is the descriptor of an inherited listening socket;
ADDITIONS is the module with the custom code for the database. The process ends when its standard
input closes, and so with the process that started it.
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
    """A point where requests wait until a test opens it."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self._arrived = 0
        self._arrival = asyncio.Condition()

    async def arrive(self) -> None:
        """Count an arrival, and wait until the gate is open."""
        async with self._arrival:
            self._arrived += 1
            self._arrival.notify_all()
        await self.opened.wait()

    async def arrivals(self, number: int) -> None:
        """Wait for this number of arrivals."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: self._arrived >= number)


gates: defaultdict[str, Gate] = defaultdict(Gate)


class Order(BaseModel):
    """A transfer of money.

    It can wait at `gate` or be slow between the two accounts, and wait at `last_gate` before the
    commit.
    """

    number: str
    payer_id: Key
    payee_id: Key
    amount: int = 1
    gate: str | None = None
    slow: bool = False
    last_gate: str | None = None


class Opened(BaseModel):
    """A new customer with accounts, labels and a token."""

    customer: Key
    accounts: list[Key]
    labels: list[Key]
    token: str


async def transfer(session: WriteSession, owner: Key, order: Order) -> None:
    """Change two accounts and write a receipt: three writes of one transaction."""
    await additions.add(session, owner, order.payer_id, -order.amount)
    if order.gate:
        await gates[order.gate].arrive()
    if order.slow:
        await additions.run_slowly(session)
    await additions.add(session, owner, order.payee_id, order.amount)
    receipt = order.model_dump(include={"number", "payer_id", "payee_id", "amount"})
    await ReceiptRepository(session, owner=owner).create(ReceiptCreate(**receipt))
    if order.last_gate:
        await gates[order.last_gate].arrive()


async def transfer_once(order: Order, owner: Key, session: WriteSession) -> None:
    """Transfer money unless a receipt of the transfer exists."""
    receipts = ReceiptRepository(session, owner=owner)
    if not await receipts.count(number=order.number):
        await transfer(session, owner, order)


@router.post("/transfers", status_code=201)
async def post_transfer(
    order: Order, principal: CurrentPrincipal, session: WriteSessionDep
) -> None:
    """Transfer in the transaction of the request."""
    await transfer(session, principal.id, order)


@router.post("/units", status_code=201)
async def post_unit(order: Order, principal: CurrentPrincipal, request: Request) -> None:
    """Transfer in a unit, which is retried after the database was unavailable."""
    database: Database = request.app.state.database
    await database.run_unit(partial(transfer_once, order, principal.id))


@router.post("/patient-transfers", status_code=201)
async def post_until_disconnected(
    order: Order, principal: CurrentPrincipal, request: Request
) -> Response:
    """Transfer in a task that is cancelled when the client disconnects."""

    async def work() -> None:
        async with request.app.state.database.transaction() as session:
            await transfer(session, principal.id, order)

    working, disconnected = asyncio.ensure_future(work()), asyncio.ensure_future(request.receive())
    await asyncio.wait({working, disconnected}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        working.cancel()
        await asyncio.wait({working})
        gates["cancelled"].opened.set()
        await gates["cancelled"].arrive()
        return Response(status_code=499)
    disconnected.cancel()
    working.result()
    return Response(status_code=201)


@router.post("/branches", status_code=201)
async def open_branches(
    branches: list[BranchCreate], _: CurrentPrincipal, session: WriteSessionDep
) -> None:
    """Create many branches at once."""
    await BranchRepository(session).create_many(branches)


@router.post("/accounts", status_code=201)
async def open_account(
    account: AccountCreate, principal: CurrentPrincipal, session: WriteSessionDep, gate: str
) -> None:
    """Create an account, and wait at a gate before the commit."""
    await AccountRepository(session, owner=principal.id).create(account)
    await gates[gate].arrive()


@router.get("/total")
async def get_total(
    principal: CurrentPrincipal, session: ReadSessionDep, gate: str | None = None
) -> int:
    """Return the sum of all balances. Can wait at a gate while it holds a connection."""

    async def pause() -> None:
        if gate:
            await gates[gate].arrive()

    total: int = await additions.sum_of_balances(session, principal.id, pause)
    return total


@router.get("/slow")
async def get_slowly(_: CurrentPrincipal, session: ReadSessionDep) -> None:
    """Run a query that exceeds every timeout."""
    await additions.run_slowly(session)


@router.get("/gates/{name}")
async def wait_for_arrivals(name: str, arrivals: int) -> None:
    """Respond after this number of arrivals at a gate."""
    await gates[name].arrivals(arrivals)


@router.put("/gates/{name}")
async def open_gate(name: str) -> None:
    """Open a gate permanently."""
    gates[name].opened.set()


@router.post("/customers", status_code=201)
async def open_accounts(request: Request, balances: list[int]) -> Opened:
    """Create a customer with accounts, labels to assign to them, and a token."""
    database: Database = request.app.state.database
    async with database.transaction() as session:
        customer = await CustomerRepository(session).create(CustomerCreate(name="Ada Lovelace"))
        accounts = AccountRepository(session, owner=customer.id)
        keys = [
            (await accounts.create(AccountCreate(name="", balance=each))).id for each in balances
        ]
        labels = LabelRepository(session)
        labelled = [(await labels.create(LabelCreate(name="A label"))).id for _ in range(4)]
    token = issue_token(request.app.state.settings, customer.id, [ADMIN])
    return Opened(customer=customer.id, accounts=keys, labels=labelled, token=token)


def application() -> FastAPI:
    """Return the generated application with the routes above."""
    app: FastAPI = create_app()
    app.include_router(router)
    return app


def exit_with_parent() -> None:
    """Exit when the parent process closes the pipe."""
    os.read(0, 1)
    os._exit(1)


def main(descriptor: int) -> None:
    """Serve until terminated."""
    threading.Thread(target=exit_with_parent, daemon=True).start()
    server = uvicorn.Server(uvicorn.Config(application(), log_level="warning"))
    server.run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(int(sys.argv[1]))
