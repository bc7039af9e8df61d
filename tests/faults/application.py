"""The application as a process, and its responses."""

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

# Longer than any step takes: a test that waits longer has failed.
DEADLINE = 60.0

# The initial balance of an account, which is never exceeded by transfers.
BALANCE = 1_000_000

# Log output of an application with unhandled errors or leaked resources.
LOG_FAULTS = ("Traceback", "never retrieved", "never awaited", "garbage collector")

# Details of the server that responses must not reveal.
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
class Response:
    """The response to a request; status 0 if the connection broke instead."""

    status: int
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether the change is acknowledged."""
        return 200 <= self.status < 300

    @property
    def error(self) -> str:
        """The name of the error: the last part of the problem's type."""
        return str(self.content["type"]).rpartition(":")[2]


class Process:
    """A process of the application, which can be killed and restarted."""

    def __init__(
        self,
        python: Path,
        project: Path,
        store: Store,
        settings: dict[str, str],
        prefix: Sequence[str] = (),
    ) -> None:
        # The tests own the listener: clients that connect during a restart wait for the process.
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.address: tuple[str, int] = self.listener.getsockname()
        self.log = project.parent / f"{self.address[1]}.log"
        served = [str(SERVED), str(self.listener.fileno()), store.additions]
        self._command = [*prefix, str(python), *served]
        self._project = project
        self._environment = environment_of(python, project, store) | settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The current process."""
        assert self._process
        return self._process

    def start(self) -> None:
        """Start the process. Requests can be sent immediately and wait until it serves."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._project,
                env=self._environment,
                # The process ends when this pipe closes, even if the tests are killed.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[self.listener.fileno()],
            )

    def kill(self) -> None:
        """Kill the process, in the middle of its work."""
        self.running.kill()
        self._wait()

    def crash(self) -> None:
        """Kill the process and start it again, as a supervisor would."""
        self.kill()
        self.start()

    async def stop(self) -> None:
        """Terminate the process gracefully, as a deployment does."""
        self.running.terminate()
        await asyncio.to_thread(self._wait)

    def close(self) -> None:
        """Kill the process if it runs, and close the listener."""
        if self._process and self._process.poll() is None:
            self.kill()
        self.listener.close()

    def _wait(self) -> None:
        self.running.wait(DEADLINE)
        assert self.running.stdin
        self.running.stdin.close()


class Application:
    """A client of the application, authenticated as one customer."""

    customer: Key
    accounts: list[Key]
    labels: list[Key]

    def __init__(self, process: Process) -> None:
        self.process = process
        self._token = ""

    async def wait_until_serving(self) -> None:
        """Wait until the application serves, and fail if the process ends instead."""
        asking = asyncio.ensure_future(self.send("GET", "/health"))
        while not (await asyncio.wait({asking}, timeout=0.2))[0]:
            assert self.process.running.poll() is None, self.process.log.read_text("utf-8")
        assert asking.result().is_done

    async def open_accounts(self, number: int = 4) -> None:
        """Create a customer with accounts, and authenticate as this customer."""
        response = await self.send("POST", "/teller/customers", [BALANCE] * number)
        assert response.is_done, response
        self.customer = response.content["customer"]
        self.accounts = response.content["accounts"]
        self.labels = response.content["labels"]
        self._token = response.content["token"]

    def join(self, other: Application) -> None:
        """Authenticate as the customer of another client."""
        self.customer, self.accounts, self.labels = other.customer, other.accounts, other.labels
        self._token = other._token

    async def send(
        self, method: str, path: str, body: object = None, version: str | None = None
    ) -> Response:
        """Send a request, and check the problem document of an error."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if version:
            headers["If-Match"] = version
        async with asyncio.timeout(DEADLINE):
            response = await exchange(self.process.address, method, path, headers, body)
        if response.status >= 400 and not path.startswith("/health"):
            _check_problem(response)
        return response

    async def transfer(self, number: str, *, to: str = "transfers", **order: object) -> Response:
        """Transfer money from the first account to the second, or as `order` says."""
        payer, payee, *_ = self.accounts
        body = {"number": number, "payer_id": payer, "payee_id": payee, **order}
        return await self.send("POST", f"/teller/{to}", body)

    async def arrivals(self, gate: str, number: int = 1) -> None:
        """Wait until this number of requests has arrived at a gate."""
        response = await self.send("GET", f"/teller/gates/{gate}?arrivals={number}")
        assert response.is_done

    async def open_gate(self, gate: str) -> None:
        """Open a gate for all requests."""
        assert (await self.send("PUT", f"/teller/gates/{gate}")).is_done


def environment_of(python: Path, project: Path, store: Store) -> dict[str, str]:
    """Return a clean environment for a process, with the settings of its database."""
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
    """Serve the application with settings such as `pool_size=2`, and check that it stops cleanly.

    If `quiet`, its log must contain no unhandled errors and no leaked resources.
    """
    variables = {f"DATABASE_{name.upper()}": str(value) for name, value in settings.items()}
    process = Process(python, project, store, variables, prefix)
    try:
        process.start()
        application = Application(process)
        await application.wait_until_serving()
        yield application
        await process.stop()
    finally:
        process.close()
    log = process.log.read_text("utf-8")
    assert not quiet or not any(text in log for text in LOG_FAULTS), log


async def exchange(
    address: tuple[str, int], method: str, path: str, headers: dict[str, str], body: object
) -> Response:
    """Send a request on a new connection. Cancelling this simulates a client that disconnects."""
    try:
        reader, writer = await asyncio.open_connection(*address)
    except OSError:
        return Response(0)
    try:
        content = b"" if body is None else json.dumps(body).encode()
        sent = {"Host": "bank", "Connection": "close", "Content-Length": len(content), **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {sent[name]}" for name in sent), "", ""]
        writer.write("\r\n".join(lines).encode() + content)
        return _read(await reader.read())
    except OSError:
        return Response(0)
    finally:
        writer.close()


def _read(received: bytes) -> Response:
    """Parse the received bytes: a complete response, or status 0."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if len(body) != int(headers.get("content-length", 0)) or not first:
        return Response(0)
    return Response(int(first.split()[1]), json.loads(body) if body else None, headers)


def _check_problem(response: Response) -> None:
    """Check that an error follows RFC 9457 and reveals no details of the server."""
    problem = response.content
    assert response.headers["content-type"] == "application/problem+json", response
    assert problem["status"] == response.status, response
    assert problem["type"].startswith("urn:bank:"), response
    assert problem["title"], response
    message = f"{problem['title']} {problem['detail']}".lower()
    assert not any(secret in message for secret in SECRETS), response
