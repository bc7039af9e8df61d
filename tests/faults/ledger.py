"""The requests of a scenario and their outcomes, compared with the database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from enum import Enum
from itertools import count
from typing import Any

from tests.faults.application import BALANCE, DEADLINE, Application, Response
from tests.faults.store import Key, Record, Store


class Outcome(Enum):
    """What a response says about the requested change."""

    DONE = "done"
    REJECTED = "rejected"
    # The response was lost, or that of the database was: the change may have been made.
    UNKNOWN = "unknown"


# How often a requested change may be stored: least and most.
TIMES = {Outcome.DONE: (1, 1), Outcome.REJECTED: (0, 0), Outcome.UNKNOWN: (0, 1)}


def outcome(response: Response) -> Outcome:
    """Return the outcome of a response, as a client has to interpret it."""
    if response.is_done:
        return Outcome.DONE
    if response.status == 0 or response.error == "outcome-unknown":
        return Outcome.UNKNOWN
    return Outcome.REJECTED


class Register:
    """The possible values of a field that one client sets repeatedly."""

    def __init__(self, name: str, value: Hashable) -> None:
        self.name = name
        self._possible = {value}

    def set(self, value: Hashable, result: Outcome) -> None:
        """Record a change."""
        if result is Outcome.DONE:
            self._possible = {value}
        elif result is Outcome.UNKNOWN:
            self._possible.add(value)

    def faults(self, found: Hashable) -> Iterable[str]:
        """Yield a message if the stored value is not possible."""
        if found not in self._possible:
            yield f"{self.name} is {found}, not one of {self._possible}"


class Ledger:
    """The changes requested in one scenario."""

    def __init__(self, application: Application) -> None:
        self.customer = application.customer
        self.accounts: dict[str, Outcome] = {}
        self.transfers: dict[str, Outcome] = {}
        self.labels: dict[Key, Register] = {}
        self.notes: dict[Key, Register] = {}
        self.statuses: Counter[int] = Counter()
        self._noted = asyncio.Condition()

    @classmethod
    async def of(cls, application: Application) -> Ledger:
        """Start a scenario with a new customer."""
        await application.open_accounts()
        return cls(application)

    async def note(self, response: Response) -> Outcome:
        """Record a response, notify waiting tasks, and return its outcome."""
        async with self._noted:
            self.statuses[response.status] += 1
            self._noted.notify_all()
        return outcome(response)

    @property
    def done(self) -> int:
        """The number of acknowledged requests."""
        return sum(number for status, number in self.statuses.items() if 200 <= status < 300)

    async def progress(self, number: int) -> None:
        """Wait until this number of further requests is acknowledged."""
        wanted = self.done + number
        async with asyncio.timeout(DEADLINE), self._noted:
            await self._noted.wait_for(lambda: self.done >= wanted)

    async def rejections(self, number: int) -> None:
        """Wait until this number of requests was rejected because the database was unavailable."""
        async with asyncio.timeout(DEADLINE), self._noted:
            await self._noted.wait_for(lambda: self.statuses[503] >= number)

    async def audit(self, store: Store) -> None:
        """Compare the stored records with the responses, over a separate connection."""
        accounts = await store.records("accounts", owner_id=self.customer)
        receipts = await store.records("receipts", owner_id=self.customer)
        opened = Counter(str(each["name"]) for each in accounts if each["name"])
        made = Counter(str(each["number"]) for each in receipts)
        faults = [
            *_faults_of("account", self.accounts, opened),
            *_faults_of("transfer", self.transfers, made),
            *_unbalanced(accounts, receipts),
            *await self._wrong_fields(store, accounts),
        ]
        assert not faults, "\n".join(faults)

    async def _wrong_fields(self, store: Store, accounts: Iterable[Record]) -> Iterable[str]:
        """Return messages for accounts with another note or other labels than were set."""
        notes = {account["id"]: account["note"] for account in accounts}
        labels = await store.labels([*notes])
        return [
            fault
            for registers, found in ((self.notes, notes), (self.labels, labels))
            for key, register in registers.items()
            for fault in register.faults(found[key])
        ]


class Client:
    """One of several clients. Each has its own account and transfers money from it to another.

    A client cycles through all kinds of requests until it is stopped.
    """

    def __init__(self, application: Application, ledger: Ledger, place: int) -> None:
        self._application = application
        self._ledger = ledger
        self._place = place
        self._own = application.accounts[place]
        self._other = application.accounts[place - 1]
        note = Register(f"the note of account {self._own}", None)
        labels = Register(f"the labels of account {self._own}", frozenset())
        self._note = ledger.notes.setdefault(self._own, note)
        self._labels = ledger.labels.setdefault(self._own, labels)

    async def work(self, stopped: asyncio.Event) -> None:
        """Send requests one after the other until `stopped` is set."""
        for turn in count():
            for send in (self.open, self.pay, self.pay_once, self.relabel, self.annotate):
                if stopped.is_set():
                    return
                await send(turn)

    async def open(self, turn: int) -> None:
        """Open another account."""
        name = f"account {self._place}.{turn}"
        self._ledger.accounts[name] = Outcome.UNKNOWN
        response = await self._application.send("POST", "/accounts", {"name": name})
        self._ledger.accounts[name] = await self._ledger.note(response)

    async def pay(self, turn: int) -> None:
        """Transfer money in the transaction of the request."""
        await self._transfer(f"transfer {self._place}.{turn}")

    async def pay_once(self, turn: int) -> None:
        """Transfer money in a unit, which may be retried."""
        number = f"unit {self._place}.{turn}"
        if await self._transfer(number, to="units") is Outcome.REJECTED:
            # The last attempt was rejected. An earlier one may have been committed.
            self._ledger.transfers[number] = Outcome.UNKNOWN

    async def relabel(self, turn: int) -> None:
        """Replace the labels of the account."""
        half = len(self._application.labels) // 2
        labels = self._application.labels[half:] if turn % 2 else self._application.labels[:half]
        response = await self._application.send("PUT", f"/accounts/{self._own}/labels", labels)
        self._labels.set(frozenset(labels), await self._ledger.note(response))

    async def annotate(self, turn: int) -> None:
        """Read the account and change its note with the version that was read."""
        path = f"/accounts/{self._own}"
        read = await self._application.send("GET", path)
        if not read.is_done:
            await self._ledger.note(read)
            return
        note = f"note {turn}"
        response = await self._application.send("PATCH", path, {"note": note}, read.headers["etag"])
        self._note.set(note, await self._ledger.note(response))

    async def _transfer(self, number: str, to: str = "transfers") -> Outcome:
        ends: Any = {"payer_id": self._own, "payee_id": self._other}
        self._ledger.transfers[number] = Outcome.UNKNOWN
        response = await self._application.transfer(number, to=to, **ends)
        result = self._ledger.transfers[number] = await self._ledger.note(response)
        return result


def _unbalanced(accounts: Iterable[Record], receipts: Iterable[Record]) -> Iterable[str]:
    """Yield messages for initial accounts whose balance does not match the receipts."""
    moved: Counter[Key] = Counter()
    for receipt in receipts:
        moved[receipt["payee_id"]] += receipt["amount"]
        moved[receipt["payer_id"]] -= receipt["amount"]
    for account in accounts:
        expected = BALANCE + moved[account["id"]]
        if not account["name"] and account["balance"] != expected:
            yield f"account {account['id']} has {account['balance']}, not {expected}"


def _faults_of(kind: str, requested: dict[str, Outcome], found: Mapping[str, int]) -> Iterable[str]:
    """Yield messages for changes that are stored too rarely or too often."""
    for name in {*requested, *found}:
        if name not in requested:
            yield f"{kind} {name!r} is stored but was not requested"
            continue
        least, most = TIMES[requested[name]]
        if not least <= found.get(name, 0) <= most:
            yield f"{kind} {name!r} is {requested[name].value}, stored {found.get(name, 0)} times"
