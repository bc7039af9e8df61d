"""MongoDB: a replica set of one server, and one of three, which can lose a server."""

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

# The maximum number of connections of the server.
CONNECTIONS = 64

# The maximum lifetime of a transaction in seconds, which ends those whose connection was lost. It
# is shorter than the application's retries.
LIFETIME = 3


class MongoDB(Server):
    """One server. Its journal is enough to lose nothing."""

    name = "mongodb"
    answers: ClassVar[Mapping[str, str]] = {
        "orm": "beanie",
        "database": "mongodb",
        "primary_key": "objectid",
    }
    additions = "additions_mongodb"
    # MongoDB does not wait for locks: the application retries.
    locked_status = 409
    replays_transactions = True

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
        wanted = {_field_name(name): ObjectId(str(key)) for name, key in fields.items()}
        return await asyncio.to_thread(self._found, of, wanted)

    async def labels(self, accounts: Sequence[Key]) -> Mapping[Key, frozenset[Key]]:
        wanted = {"_id": {"$in": [ObjectId(str(key)) for key in accounts]}}
        found = await asyncio.to_thread(self._found, "accounts", wanted)
        return {account["id"]: frozenset(account["label_ids"]) for account in found}

    def _found(self, of: str, wanted: Mapping[str, Any]) -> Sequence[Record]:
        with self.client() as client:
            return [
                {
                    "id" if name == "_id" else name: _as_in_api(value)
                    for name, value in found.items()
                }
                for found in client["bank"][of].find(wanted)
            ]

    def client(self) -> Client:
        """Return a client that is independent of the application."""
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
        # A client that discovers the members of the set would bypass the proxy.
        url = self.environment["DATABASE_URL"].replace(f":{self.address[1]}/", f":{port}/")
        yield f"{url}&directConnection=true"

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(self._server.pid)]

    @asynccontextmanager
    async def terminable(self) -> AsyncIterator[tuple[dict[str, str], Termination]]:
        # The server has no command to terminate connections.
        async with lossy(self.address) as proxy:
            with self.through(proxy.port) as url:
                yield {"url": url}, proxy.end

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        # Idle connections count as well; the server rejects those above the limit.
        held = [await asyncio.open_connection(*self.address) for _ in range(CONNECTIONS)]
        try:
            yield
        finally:
            for _, writer in held:
                writer.close()

    async def wait_for_release(self) -> None:
        # A transaction outlives its connection.
        await asyncio.to_thread(self._wait_for_transactions)

    def _wait_for_transactions(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        with self.client() as client:
            while _transactions(client)["currentOpen"]:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def restart(self) -> None:
        """Shut the server down cleanly and start it again."""
        self._server.restart()

    def step_down(self) -> None:
        """Make the primary reject writes briefly. There is no other server to replace it."""
        with Client(self._url, directConnection=True) as client:
            client.admin.command("replSetStepDown", 60, force=True)
            client.admin.command("replSetFreeze", 0)

    async def conflict(self) -> None:
        """Wait until the server aborts a transaction because of a conflict."""
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
        """Limit the lifetime of transactions during the block."""
        self._limit(seconds)
        try:
            yield
        finally:
            self._limit(LIFETIME)

    def _limit(self, seconds: int) -> None:
        with self.client() as client:
            client.admin.command("setParameter", 1, transactionLifetimeLimitSeconds=seconds)


class MongoDBSet(MongoDB):
    """Three servers. Writes that two of them have survive the loss of the third."""

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
        """Kill the primary while it is ahead, and start it again when another has replaced it."""
        self._set.replace_primary()

    def step_down(self) -> None:
        """Make the primary step down in favour of another server."""
        with self.client() as client:
            client.admin.command("replSetStepDown", 60)


def _transactions(client: Client) -> dict[str, Any]:
    """Return the server's statistics on transactions."""
    statistics: dict[str, Any] = client.admin.command("serverStatus")["transactions"]
    return statistics


def _aborted(client: Client) -> int:
    return int(_transactions(client)["totalAborted"])


def _field_name(name: str) -> str:
    return "_id" if name == "id" else name


def _as_in_api(value: Any) -> Any:
    """Return a value with its keys as the API returns them."""
    if isinstance(value, list):
        return [_as_in_api(each) for each in value]
    return str(value) if isinstance(value, ObjectId) else value
