"""The application as a process, and what it answers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.store import Key, Store

SERVED = Path(__file__).with_name("served.py")

# Longer than anything takes here: a test that waits for so long has failed.
DEADLINE = 60.0

# What an account begins with: more than is ever sent from it.
BALANCE = 1_000_000

# What an application that lost track of something writes into its log.
LOST_TRACK = ("Traceback", "never retrieved", "never awaited", "garbage collector")

# What a server is made of, and where it is, is not for clients.
SECRETS = (
    "127.0.0.1",
    "asyncpg",
    "mongo",
    "postgres",
    "select",
    "sqlalchemy",
    "sqlite",
    "update ",
)


@dataclass(frozen=True)
class Answer:
    """What a request was answered; status 0 where the connection broke instead."""

    status: int
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether what was asked for is acknowledged."""
        return 200 <= self.status < 300

    @property
    def error(self) -> str:
        """Which of our errors it was: the end of the problem's type."""
        return str(self.content["type"]).rpartition(":")[2]


class Process:
    """A process of the application, which may be killed and started again."""

    def __init__(
        self,
        python: Path,
        project: Path,
        store: Store,
        settings: dict[str, str],
        prefix: Sequence[str] = (),
    ) -> None:
        # Ours, so that whoever connects between two processes waits for the second.
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.address: tuple[str, int] = self.listener.getsockname()
        self.log = project.parent / f"{self.address[1]}.log"
        served = [str(SERVED), str(self.listener.fileno()), store.additions]
        self._command = [*prefix, str(python), *served]
        self._project = project
        self._environment = surroundings(python, project, store) | settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process, as it is now."""
        assert self._process
        return self._process

    def start(self) -> None:
        """Start it. It serves in a second; requests may be sent at once."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._project,
                env=self._environment,
                # It reads the end of this when we are gone, however we went.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[self.listener.fileno()],
            )

    def kill(self) -> None:
        """End it as the machine would: in the middle of whatever it does."""
        self.running.kill()
        self._wait()

    def crash(self) -> None:
        """Kill it, and start it again as whoever runs it would."""
        self.kill()
        self.start()

    async def stop(self) -> None:
        """End it as a deployment does."""
        self.running.terminate()
        await asyncio.to_thread(self._wait)

    def close(self) -> None:
        """Leave nothing of it."""
        if self._process and self._process.poll() is None:
            self.kill()
        self.listener.close()

    def _wait(self) -> None:
        self.running.wait(DEADLINE)
        assert self.running.stdin
        self.running.stdin.close()


class Application:
    """A customer's way to a process of the application: requests, and their answers."""

    customer: Key
    accounts: list[Key]
    labels: list[Key]

    def __init__(self, process: Process) -> None:
        self.process = process
        self._token = ""

    async def come_up(self) -> None:
        """Wait until it serves. Its requests could wait by themselves, but not if it never does."""
        asking = asyncio.ensure_future(self.send("GET", "/health"))
        while not (await asyncio.wait({asking}, timeout=0.2))[0]:
            assert self.process.running.poll() is None, self.process.log.read_text("utf-8")
        assert asking.result().is_done

    async def open_accounts(self, number: int = 4) -> None:
        """Become a new customer with accounts."""
        answer = await self.send("POST", "/teller/customers", [BALANCE] * number)
        assert answer.is_done, answer
        self.customer = answer.content["customer"]
        self.accounts = answer.content["accounts"]
        self.labels = answer.content["labels"]
        self._token = answer.content["token"]

    def join(self, other: Application) -> None:
        """Become the customer of another process."""
        self.customer, self.accounts, self.labels = other.customer, other.accounts, other.labels
        self._token = other._token

    async def send(
        self, method: str, path: str, body: object = None, version: str | None = None
    ) -> Answer:
        """Send a request; what is refused has to be refused as it should be."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if version:
            headers["If-Match"] = version
        async with asyncio.timeout(DEADLINE):
            answer = await exchange(self.process.address, method, path, headers, body)
        if answer.status >= 400 and not path.startswith("/health"):
            _check_problem(answer)
        return answer

    async def transfer(self, number: str, *, to: str = "transfers", **order: object) -> Answer:
        """Move money from the first account to the second, or as the order says."""
        payer, payee, *_ = self.accounts
        body = {"number": number, "payer_id": payer, "payee_id": payee, **order}
        return await self.send("POST", f"/teller/{to}", body)

    async def arrivals(self, gate: str, number: int = 1) -> None:
        """Wait until so many are at a gate."""
        answer = await self.send("GET", f"/teller/gates/{gate}?arrivals={number}")
        assert answer.is_done

    async def open_gate(self, gate: str) -> None:
        """Let everybody through."""
        assert (await self.send("PUT", f"/teller/gates/{gate}")).is_done


def surroundings(python: Path, project: Path, store: Store) -> dict[str, str]:
    """The environment of a process: nothing of ours, and where its database is."""
    return {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{project / 'src'}{os.pathsep}{project}",
        "LANG": "C.UTF-8",
        "JWT_SECRET": "0123456789abcdef0123456789abcdef",
        **store.environment,
    }


@asynccontextmanager
async def serving(
    python: Path,
    project: Path,
    store: Store,
    *,
    prefix: Sequence[str] = (),
    quiet: bool = True,
    **settings: object,
) -> AsyncIterator[Application]:
    """Serve the application, with settings such as `pool_size=2`, and see that it ends well.

    What is not `quiet` may complain in its log; else it has not lost track of anything.
    """
    variables = {f"DATABASE_{name.upper()}": str(value) for name, value in settings.items()}
    process = Process(python, project, store, variables, prefix)
    try:
        process.start()
        application = Application(process)
        await application.come_up()
        yield application
        await process.stop()
    finally:
        process.close()
    log = process.log.read_text("utf-8")
    assert not quiet or not any(text in log for text in LOST_TRACK), log


async def exchange(
    address: tuple[str, int], method: str, path: str, headers: dict[str, str], body: object
) -> Answer:
    """Send a request on its own connection. Whoever cancels this is a client that goes away."""
    try:
        reader, writer = await asyncio.open_connection(*address)
    except OSError:
        return Answer(0)
    try:
        content = b"" if body is None else json.dumps(body).encode()
        sent = {"Host": "bank", "Connection": "close", "Content-Length": len(content), **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {sent[name]}" for name in sent), "", ""]
        writer.write("\r\n".join(lines).encode() + content)
        return _read(await reader.read())
    except OSError:
        return Answer(0)
    finally:
        writer.close()


def _read(received: bytes) -> Answer:
    """Understand what was received until the connection ended: all of an answer, or none."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if len(body) != int(headers.get("content-length", 0)) or not first:
        return Answer(0)
    return Answer(int(first.split()[1]), json.loads(body) if body else None, headers)


def _check_problem(answer: Answer) -> None:
    """See that an error is said as RFC 9457 has it, and says nothing of the server."""
    problem = answer.content
    assert answer.headers["content-type"] == "application/problem+json", answer
    assert problem["status"] == answer.status, answer
    assert problem["type"].startswith("urn:bank:"), answer
    assert problem["title"], answer
    said = f"{problem['title']} {problem['detail']}".lower()
    assert not any(secret in said for secret in SECRETS), answer
