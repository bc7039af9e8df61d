"""MongoDB: one server, which is a set of its own, and a set of three, one of which may be lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import psutil
from bson import ObjectId
from pymongo import MongoClient
from servers.local_mongodb import LocalMongoDB

from tests.faults.proxy import lossy
from tests.faults.replica_set import ReplicaSet
from tests.faults.store import STOP_SECONDS, Key, Record, Server, Termination

Client = MongoClient[dict[str, Any]]

# How many connections the server takes.
CONNECTIONS = 64

# For how long a transaction may stay open that nobody ends, as its connection was lost: less than
# the application tries for.
LIFETIME = 3


class MongoDB(Server):
    """One server. What it needs to lose nothing is a journal."""

    name = "mongodb"
    answers: ClassVar[Mapping[str, str]] = {
        "orm": "beanie",
        "database": "mongodb",
        "primary_key": "objectid",
    }
    additions = "additions_mongodb"
    # Nobody waits for a lock here, but tries again.
    locked_status = 409
    begins_anew = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        settings = {
            "--maxConns": str(CONNECTIONS),
            "transactionLifetimeLimitSeconds": str(LIFETIME),
        }
        self._server = LocalMongoDB(settings=settings)

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": urlsplit(self._url)._replace(path="/bank").geturl()}

    @property
    def _url(self) -> str:
        return self._server.url

    async def records(self, of: str, **fields: Key) -> Sequence[Record]:
        wanted = {_stored(name): ObjectId(str(key)) for name, key in fields.items()}
        return await asyncio.to_thread(self._found, of, wanted)

    async def labels(self, accounts: Sequence[Key]) -> Mapping[Key, frozenset[Key]]:
        wanted = {"_id": {"$in": [ObjectId(str(key)) for key in accounts]}}
        found = await asyncio.to_thread(self._found, "accounts", wanted)
        return {account["id"]: frozenset(account["label_ids"]) for account in found}

    def _found(self, of: str, wanted: Mapping[str, Any]) -> Sequence[Record]:
        with self.client() as client:
            return [
                {"id" if name == "_id" else name: _said(value) for name, value in found.items()}
                for found in client["bank"][of].find(wanted)
            ]

    def client(self) -> Client:
        """A client of our own, which is never the application's."""
        return Client(self._url, readConcernLevel="majority", w="majority")

    @asynccontextmanager
    async def locking(self, of: str, key: Key) -> AsyncIterator[None]:
        with self.client() as client, client.start_session() as session:
            session.start_transaction()
            held = {"$set": {"held": True}}
            client["bank"][of].update_one({"_id": ObjectId(str(key))}, held, session=session)
            yield
            session.abort_transaction()

    @contextmanager
    def through(self, port: int) -> Iterator[str]:
        # A client who asks the set for its members would go past whoever stands between.
        url = self.environment["DATABASE_URL"].replace(f":{self.address[1]}/", f":{port}/")
        yield f"{url}&directConnection=true"

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(self._server.pid)]

    @asynccontextmanager
    async def terminable(self) -> AsyncIterator[tuple[dict[str, str], Termination]]:
        # The server has no word for it.
        async with lossy(self.address) as proxy:
            with self.through(proxy.port) as url:
                yield {"url": url}, proxy.end

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        # Who says nothing has a connection, too; who comes after the last is turned away.
        held = [await asyncio.open_connection(*self.address) for _ in range(CONNECTIONS)]
        try:
            yield
        finally:
            for _, writer in held:
                writer.close()

    async def let_go(self) -> None:
        # A transaction outlives its connection.
        await asyncio.to_thread(self._let_go)

    def _let_go(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        with self.client() as client:
            while _transactions(client)["currentOpen"]:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def restart(self) -> None:
        """End the server as a machine that is shut down would, and start it again."""
        self._server.restart()

    def step_down(self) -> None:
        """Make the primary take no writes for a moment. Nobody else could take its place."""
        with Client(self._url, directConnection=True) as client:
            client.admin.command("replSetStepDown", 60, force=True)
            client.admin.command("replSetFreeze", 0)

    async def conflict(self) -> None:
        """Wait until a transaction was given up that was in the way of another."""
        await asyncio.to_thread(self._wait_for_conflict)

    def _wait_for_conflict(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        with self.client() as client:
            before = _aborted(client)
            while _aborted(client) == before:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    @contextmanager
    def lifetime(self, seconds: int) -> Iterator[None]:
        """Let no transaction last longer."""
        self._limit(seconds)
        try:
            yield
        finally:
            self._limit(LIFETIME)

    def _limit(self, seconds: int) -> None:
        with self.client() as client:
            client.admin.command("setParameter", 1, transactionLifetimeLimitSeconds=seconds)


class MongoDBSet(MongoDB):
    """Three servers. What two of them have is not lost with the third."""

    name = "mongodb-set"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        parameters = {"transactionLifetimeLimitSeconds": str(LIFETIME)}
        self._set = ReplicaSet(folder, parameters)

    def start(self) -> None:
        self._set.start()

    def stop(self) -> None:
        self._set.stop()

    @property
    def _url(self) -> str:
        return self._set.url

    def crash(self) -> None:
        """Kill the primary when it is ahead, and start it again when another has its place."""
        self._set.replace_primary()

    def step_down(self) -> None:
        """Make the primary let another take its place."""
        with self.client() as client:
            client.admin.command("replSetStepDown", 60)


def _transactions(client: Client) -> dict[str, Any]:
    """What the server tells of its transactions."""
    told: dict[str, Any] = client.admin.command("serverStatus")["transactions"]
    return told


def _aborted(client: Client) -> int:
    return int(_transactions(client)["totalAborted"])


def _stored(name: str) -> str:
    return "_id" if name == "id" else name


def _said(value: Any) -> Any:
    """A value as the API says it, as far as keys go."""
    if isinstance(value, list):
        return [_said(each) for each in value]
    return str(value) if isinstance(value, ObjectId) else value
