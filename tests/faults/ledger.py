"""What was asked for and how it was answered, and whether the database agrees."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from enum import Enum
from itertools import count
from typing import Any

from tests.faults.application import BALANCE, DEADLINE, Answer, Application
from tests.faults.store import Key, Record, Store


class Outcome(Enum):
    """What an answer says of the change that was asked for."""

    DONE = "done"
    REFUSED = "refused"
    # The answer was lost, or says that the answer of the database was: either may be.
    UNKNOWN = "unknown"


# How often what was asked for may be there.
TIMES = {Outcome.DONE: (1, 1), Outcome.REFUSED: (0, 0), Outcome.UNKNOWN: (0, 1)}


def outcome(answer: Answer) -> Outcome:
    """Read an answer as a client has to."""
    if answer.is_done:
        return Outcome.DONE
    if answer.status == 0 or answer.error == "outcome-unknown":
        return Outcome.UNKNOWN
    return Outcome.REFUSED


class Register:
    """What a value may be that one client sets, one change after the other."""

    def __init__(self, name: str, value: Hashable) -> None:
        self.name = name
        self._possible = {value}

    def set(self, value: Hashable, result: Outcome) -> None:
        """Note a change."""
        if result is Outcome.DONE:
            self._possible = {value}
        elif result is Outcome.UNKNOWN:
            self._possible.add(value)

    def faults(self, found: Hashable) -> Iterable[str]:
        """What is wrong with what was found."""
        if found not in self._possible:
            yield f"{self.name} is {found}, not one of {self._possible}"


class Ledger:
    """The changes that were asked for in one scenario."""

    def __init__(self, application: Application) -> None:
        self.customer = application.customer
        self.accounts: dict[str, Outcome] = {}
        self.transfers: dict[str, Outcome] = {}
        self.labels: dict[Key, Register] = {}
        self.notes: dict[Key, Register] = {}
        self.answers: Counter[int] = Counter()
        self._noted = asyncio.Condition()

    @classmethod
    async def of(cls, application: Application) -> Ledger:
        """Begin a scenario: a new customer of the bank."""
        await application.open_accounts()
        return cls(application)

    async def note(self, answer: Answer) -> Outcome:
        """Note an answer, and tell who waits for it."""
        async with self._noted:
            self.answers[answer.status] += 1
            self._noted.notify_all()
        return outcome(answer)

    @property
    def done(self) -> int:
        """How much is acknowledged by now."""
        return sum(number for status, number in self.answers.items() if 200 <= status < 300)

    async def progress(self, number: int) -> None:
        """Wait until so much more is acknowledged."""
        wanted = self.done + number
        async with asyncio.timeout(DEADLINE), self._noted:
            await self._noted.wait_for(lambda: self.done >= wanted)

    async def refusals(self, number: int) -> None:
        """Wait until so many requests were refused as the database was not there for them."""
        async with asyncio.timeout(DEADLINE), self._noted:
            await self._noted.wait_for(lambda: self.answers[503] >= number)

    async def audit(self, store: Store) -> None:
        """Compare what is there with what was answered, over a connection of our own."""
        accounts = await store.records("accounts", owner_id=self.customer)
        receipts = await store.records("receipts", owner_id=self.customer)
        opened = Counter(str(each["name"]) for each in accounts if each["name"])
        made = Counter(str(each["number"]) for each in receipts)
        faults = [
            *_faults_of("account", self.accounts, opened),
            *_faults_of("transfer", self.transfers, made),
            *_unbalanced(accounts, receipts),
            *await self._unlike(store, accounts),
        ]
        assert not faults, "\n".join(faults)

    async def _unlike(self, store: Store, accounts: Iterable[Record]) -> Iterable[str]:
        """The accounts whose note or whose labels are not what they were set to."""
        notes = {account["id"]: account["note"] for account in accounts}
        labels = await store.labels([*notes])
        return [
            fault
            for registers, found in ((self.notes, notes), (self.labels, labels))
            for key, register in registers.items()
            for fault in register.faults(found[key])
        ]


class Client:
    """One of many that send requests: each has an account of its own, and pays from it to another.

    It sends whatever the bank offers, in turn, until it is told to stop.
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
        """Send requests, one after the other."""
        for turn in count():
            for send in (self.open, self.pay, self.pay_once, self.relabel, self.annotate):
                if stopped.is_set():
                    return
                await send(turn)

    async def open(self, turn: int) -> None:
        """Open another account."""
        name = f"account {self._place}.{turn}"
        self._ledger.accounts[name] = Outcome.UNKNOWN
        answer = await self._application.send("POST", "/accounts", {"name": name})
        self._ledger.accounts[name] = await self._ledger.note(answer)

    async def pay(self, turn: int) -> None:
        """Move money."""
        await self._transfer(f"transfer {self._place}.{turn}")

    async def pay_once(self, turn: int) -> None:
        """Move money, in a unit that may be tried again."""
        number = f"unit {self._place}.{turn}"
        if await self._transfer(number, to="units") is Outcome.REFUSED:
            # Its last try was refused. An earlier one may have been done.
            self._ledger.transfers[number] = Outcome.UNKNOWN

    async def relabel(self, turn: int) -> None:
        """Put other labels on the account, in place of those that are there."""
        half = len(self._application.labels) // 2
        labels = self._application.labels[half:] if turn % 2 else self._application.labels[:half]
        answer = await self._application.send("PUT", f"/accounts/{self._own}/labels", labels)
        self._labels.set(frozenset(labels), await self._ledger.note(answer))

    async def annotate(self, turn: int) -> None:
        """Change the note of the account as it was read a moment ago."""
        path = f"/accounts/{self._own}"
        read = await self._application.send("GET", path)
        if not read.is_done:
            await self._ledger.note(read)
            return
        note = f"note {turn}"
        answer = await self._application.send("PATCH", path, {"note": note}, read.headers["etag"])
        self._note.set(note, await self._ledger.note(answer))

    async def _transfer(self, number: str, to: str = "transfers") -> Outcome:
        ends: Any = {"payer_id": self._own, "payee_id": self._other}
        self._ledger.transfers[number] = Outcome.UNKNOWN
        answer = await self._application.transfer(number, to=to, **ends)
        result = self._ledger.transfers[number] = await self._ledger.note(answer)
        return result


def _unbalanced(accounts: Iterable[Record], receipts: Iterable[Record]) -> Iterable[str]:
    """The accounts of the beginning whose balance is not what the receipts say."""
    moved: Counter[Key] = Counter()
    for receipt in receipts:
        moved[receipt["payee_id"]] += receipt["amount"]
        moved[receipt["payer_id"]] -= receipt["amount"]
    for account in accounts:
        expected = BALANCE + moved[account["id"]]
        if not account["name"] and account["balance"] != expected:
            yield f"account {account['id']} has {account['balance']}, not {expected}"


def _faults_of(kind: str, asked: dict[str, Outcome], found: Mapping[str, int]) -> Iterable[str]:
    """What is there too seldom, or too often."""
    for name in {*asked, *found}:
        if name not in asked:
            yield f"{kind} {name!r} is there, and nobody asked for it"
            continue
        least, most = TIMES[asked[name]]
        if not least <= found.get(name, 0) <= most:
            yield f"{kind} {name!r} is {asked[name].value}, and there {found.get(name, 0)} times"
