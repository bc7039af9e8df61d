"""A private MongoDB server for development and for the project's tests.

    with LocalMongoDB() as server:  # temporary: fast, and removed afterwards
        client = AsyncMongoClient(server.url)

It is a single-member replica set, as transactions require one. Clients connect to the address of
the member, which changes with the port: to connect through a proxy, add `directConnection=true`.

If you are root, the server runs as the user `nobody`. If that user cannot access the program, such
as below /root, it is copied to `mongod-HASH` in the temporary folder, once per version.
"""

import hashlib
import importlib.util
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from .local_server import (
    START_SECONDS,
    LocalServer,
    LocalServerError,
    ServerProcess,
    account,
    is_reachable,
    temporary_folder,
)

USER = "local"
REPLICA_SET = "local"

_PARAMETERS = {
    "diagnosticDataCollectionEnabled": "false",
    # A password is required even to create the first user.
    "enableLocalhostAuthBypass": "false",
    # There is no other member to hand over to at shutdown.
    "shutdownTimeoutMillisForSignaledShutdown": "0",
}
# Expired documents stay on a temporary server: sample data would vanish during a test.
_TEMPORARY = {"ttlMonitorEnabled": "false"}
# Journal files of 10 MB, created on demand; the default is three of 100 MB in advance.
_STORAGE = ["log=(file_max=10MB,prealloc=false)"]
# The journal still survives a crash of the server; checkpoints are not synced to disk.
_NOT_DURABLE = ["checkpoint_sync=false"]

_NOT_YET_INITIALIZED = 94

Client = MongoClient[dict[str, Any]]


class _Process(ServerProcess):
    product, prefix = "MongoDB", "mongodb"
    stop_signals = (signal.SIGTERM,)
    transient = "Address already in use", "DBPathInUse"

    def url(self, port: int) -> str:
        query = f"authSource=admin&replicaSet={REPLICA_SET}"
        return f"mongodb://{USER}:{self.password}@127.0.0.1:{port}/admin?{query}"

    def command(self, port: int) -> list[str | Path]:
        storage = ",".join([*_STORAGE, *([] if self.durable else _NOT_DURABLE)])
        options = [f"--port={port}", "--bind_ip=127.0.0.1", f"--dbpath={self.home / 'data'}"]
        # The members of the set share this key; the password serves as one.
        options += [f"--replSet={REPLICA_SET}", f"--keyFile={self.home / 'password'}"]
        options += ["--wiredTigerCacheSizeGB=0.25", "--oplogSize=64"]
        options += [f"--wiredTigerEngineConfigString={storage}"]
        # A socket's path is limited to 107 characters.
        options += [] if sys.platform == "win32" else ["--nounixsocket"]
        temporary = {} if self.durable else _TEMPORARY
        for name, value in {**_PARAMETERS, **temporary, **self.settings}.items():
            option = f"{name}={value}"
            options += [option] if name.startswith("--") else ["--setParameter", option]
        mongod = self.programs["mongod"]
        return [_reachable(mongod) if account() else mongod, *options]

    def is_ready(self, pid: int) -> bool:
        return "Waiting for connections" in super().log()

    def log(self) -> str:
        """Return the errors in the server's log since its last start, or all of it if none."""
        log = super().log()
        return "\n".join(_errors_in(log)) or log


class LocalMongoDB(LocalServer):
    """A MongoDB server on 127.0.0.1.

    Settings are server parameters, as in `{"notablescan": "true"}`, or with dashes, command-line
    options, as in `{"--maxConns": "9"}`.
    """

    process = _Process

    @staticmethod
    def find_programs() -> dict[str, str]:
        """Return the path of `mongod`, preferably that of the system, else of the wheel.

        Raises LocalServerError if it is missing.
        """
        if mongod := shutil.which("mongod") or next(_find_in_wheel(), None):
            return {"mongod": mongod}
        raise LocalServerError(
            "MongoDB is not installed: run `uv sync`, whose dev group includes it, or set "
            "TEST_MONGODB_URI (tests) or DATABASE_URL (application) to an existing server."
        )

    def restart(self) -> None:
        """Restart the server on the same port and data, and wait until it accepts writes.

        Raises LocalServerError if it does not start.
        """
        super().restart()
        _ensure_ready(self.url)


def _find_in_wheel() -> Iterator[str]:
    # Found through the outer package: looking up the inner one would import the outer one.
    wheel = importlib.util.find_spec("fiftyone")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        if mongod := shutil.which("mongod", path=Path(folder) / "db" / "bin"):
            yield mongod


def _ensure_ready(url: str) -> None:
    """Ensure that the server is the only member of its set, accepts writes, and has a user.

    Raises LocalServerError if it does not become ready.
    """
    parts = urlsplit(url)
    address, password = f"{parts.hostname}:{parts.port}", parts.password or ""
    deadline, failure = time.monotonic() + START_SECONDS, "it does not accept writes"
    while time.monotonic() < deadline:
        try:
            # A new client for each attempt: one that connects too early does not support sessions.
            with _connect_as_member(address, password) as client:
                if _accepts_writes(client, address):
                    _ensure_user(client, password)
                    break
        except PyMongoError as error:
            failure = str(error)
        time.sleep(0.01)
    else:
        raise LocalServerError(f"MongoDB did not become a primary: {failure}")
    _wait_for_keys(url)


def _wait_for_keys(url: str) -> None:
    """Wait until the server has loaded the keys that sign times.

    Until then, it can reject clients from before a restart: they send the last signed time.
    """
    deadline = time.monotonic() + START_SECONDS
    with MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=5000) as client:
        while time.monotonic() < deadline:
            with suppress(PyMongoError):
                signed = client.admin.command("ping").get("$clusterTime", {})
                if signed.get("signature", {}).get("keyId"):
                    return
            time.sleep(0.01)
    raise LocalServerError("MongoDB did not load its keys")


def _connect_as_member(address: str, password: str) -> Client:
    """Connect with the key of the set, like another member: there may be no user yet."""
    return MongoClient(
        address,
        username="__system",
        password=password,
        authSource="local",
        authMechanism="SCRAM-SHA-256",
        directConnection=True,
        serverSelectionTimeoutMS=1000,
    )


def _accepts_writes(client: Client, member: str) -> bool:
    """Whether the server accepts writes; if not, configure it as the only member of its set."""
    if client.admin.command("hello").get("isWritablePrimary"):
        return True
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise
        config = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": member}]}
        client.admin.command("replSetInitiate", config)
        return False
    if config["members"][0]["host"] != member:
        config["members"][0]["host"] = member
        config["version"] += 1
        # By force, as a majority is unavailable: no member has the old address any more.
        client.admin.command("replSetReconfig", config, force=True)
    return False


def _ensure_user(client: Client, password: str) -> None:
    if not client.admin.command("usersInfo", USER)["users"]:
        client.admin.command("createUser", USER, pwd=password, roles=["root"])


def _errors_in(log: str) -> Iterator[str]:
    """Yield the text of each error in a log; lines that are not JSON are errors, too."""
    for line in log.splitlines():
        entry: Any = None
        with suppress(ValueError):
            entry = json.loads(line)
        if not isinstance(entry, dict):
            yield line
        elif entry.get("s") in ("E", "F"):
            about = entry.get("attr", {})
            why = about.get("error", about)
            yield f"{entry['msg']}: {why.get('errmsg', why) if isinstance(why, dict) else why}"


# --- Root only: a program that the server's user can access ---------------------------------------


def _reachable(program: Path) -> Path:
    """Return the program, or a copy of it that the server's user can run."""
    if is_reachable(program):
        return program
    with program.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    copy = temporary_folder() / f"mongod-{digest[:16]}"
    if not copy.exists() or copy.lstat().st_uid != 0:  # another user's
        with tempfile.TemporaryDirectory(prefix="mongod-copy-", dir=copy.parent) as temporary:
            fresh = Path(temporary) / copy.name
            shutil.copyfile(program, fresh)
            fresh.chmod(0o755)
            fresh.replace(copy)
    return copy
