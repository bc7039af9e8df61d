"""A local equivalent of Neon: PostgreSQL behind TLS and PgBouncer in transaction mode.

All servers are real. Our own certificate authority signs the certificate, so clients can verify it.
A PgBouncer in session mode stands for Neon's proxy, the target of the direct URL: the PostgreSQL of
the wheel was built without TLS, so a proxy has to provide it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme
from servers.local_postgres import LocalPostgres

INSTALL = "apt-get install --no-install-recommends pgbouncer"

HOST = "localhost"

# The number of connections to PostgreSQL that all clients of the pooler share.
BACKENDS = 5

CONFIGURATION = """\
[databases]
* = host=127.0.0.1 port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
max_client_conn = 1000
query_wait_timeout = 120
auth_type = scram-sha-256
auth_file = {folder}/users
client_tls_sslmode = require
client_tls_cert_file = {folder}/certificate.pem
client_tls_key_file = {folder}/key.pem
logfile = {log}
"""

# Like Neon's pooler, except for its size and for closing idle connections early: a database with
# open connections cannot be copied.
POOLED = f"""\
pool_mode = transaction
default_pool_size = {BACKENDS}
server_idle_timeout = 1
"""

# A connection to PostgreSQL lasts as long as the client's connection.
DIRECT = """\
pool_mode = session
default_pool_size = 90
server_lifetime = 0
"""


class PgBouncer:
    """A PgBouncer in front of a server."""

    def __init__(self, server: str, folder: Path, mode: str) -> None:
        self._server = urlsplit(server)
        self._folder = folder
        self._mode = mode
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL, with the same parameters as Neon's."""
        login = f"{self._server.username}:{self._server.password}"
        query = "sslmode=require&channel_binding=require"
        authority = self._folder / "authority.pem"
        return f"postgresql://{login}@{HOST}:{self._port}/postgres?{query}&sslrootcert={authority}"

    def start(self) -> None:
        """Start PgBouncer, on the same port each time."""
        log = self._folder / f"{self._port}.log"
        configuration = CONFIGURATION.format(
            server_port=self._server.port, port=self._port, folder=self._folder, log=log
        )
        _write(self._folder / "users", f'"{self._server.username}" "{self._server.password}"\n')
        _write(self._folder / f"{self._port}.ini", configuration + self._mode)
        self._process = subprocess.Popen(
            [_pgbouncer(), "--quiet", self._folder / f"{self._port}.ini"],
            stderr=subprocess.DEVNULL,
            preexec_fn=_end_with_parent,
            **_account(),
        )
        _wait_for(self._port, self._process, log)

    def stop(self) -> None:
        """Stop PgBouncer immediately, which closes all connections."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Close all connections, and accept new ones shortly afterwards."""
        self.stop()
        self.start()


class Neon:
    """A server with a pooled and a direct URL."""

    def __init__(self, server: LocalPostgres, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.pooled = PgBouncer(server.url, folder, POOLED)
        self.direct = PgBouncer(server.url, folder, DIRECT)


@contextmanager
def neon(folder: Path) -> Iterator[Neon]:
    """Run the servers during the block, with their files in `folder`."""
    issue_certificate(folder)
    with LocalPostgres(settings={"synchronous_commit": "on"}) as server, ExitStack() as stack:
        running = Neon(server, folder)
        for each in (running.pooled, running.direct):
            stack.callback(each.stop)
            each.start()
        yield running


def issue_certificate(folder: Path) -> None:
    """Write a certificate for this machine, its key, and the certificate of its authority."""
    _hand_over(folder)
    authority = trustme.CA()
    issued = authority.issue_cert(HOST)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    _write(folder / "authority.pem", authority.cert_pem.bytes().decode())
    _write(folder / "key.pem", issued.private_key_pem.bytes().decode())
    _write(folder / "certificate.pem", chain.decode())


def _write(path: Path, content: str) -> None:
    path.touch(mode=0o600)
    path.write_text(content)
    _hand_over(path)


def _hand_over(path: Path) -> None:
    if account := _account():
        os.chown(path, account["user"], account["group"])


def _pgbouncer() -> str:
    # Debian installs it in a folder that is only on root's PATH.
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    found = shutil.which("pgbouncer", path=path)
    if found is None:
        raise RuntimeError(f"These tests need PgBouncer: {INSTALL}")
    return found


def _account() -> dict[str, Any]:
    """Return the user that runs PgBouncer, which does not run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _end_with_parent() -> None:
    """Ask the kernel to kill the process when the test process ends, even if that is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def free_port() -> int:
    """Return a port that is currently unused."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    output = log.read_text() if log.exists() else ""
    raise RuntimeError(f"PgBouncer did not start:\n{output}")
