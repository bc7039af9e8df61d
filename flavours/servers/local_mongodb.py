"""A private MongoDB for development and for this project's own tests.

    with LocalMongoDB() as server:  # throw-away: fast, and gone afterwards
        client = AsyncMongoClient(server.url)

`python -m {{ package }}.development.local_mongodb [FOLDER]` runs one until Ctrl-C; with a folder, its data stays there.

It is a replica set of one member, as transactions ask for. Its member is known by address, which
changes with the port: whoever goes there by another way, a proxy, adds `directConnection=true`.

Root's server runs as `nobody`. Where `nobody` cannot reach the program, as below /root, it is
copied, once a version, to `mongod-HASH` in the temporary folder.
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
    run,
    temporary_folder,
)

USER = "local"
REPLICA_SET = "local"

_PARAMETERS = {
    "diagnosticDataCollectionEnabled": "false",
    # Without a password, nobody comes in: not even first, to make the first user.
    "enableLocalhostAuthBypass": "false",
    # No other member is there that clients could be sent to before the end.
    "shutdownTimeoutMillisForSignaledShutdown": "0",
}
# Journals of 10 MB, made when they are needed; by default, three of 100 MB are made at once.
_STORAGE = ["log=(file_max=10MB,prealloc=false)"]
# The journal survives a crash of the server as ever; checkpoints are left to the system.
_NOT_DURABLE = ["checkpoint_sync=false"]

_NOT_YET_INITIALIZED = 94

Client = MongoClient[dict[str, Any]]


class _Process(ServerProcess):
    product, prefix = "MongoDB", "mongodb"
    farewells = (signal.SIGTERM,)
    transient = "Address already in use", "DBPathInUse"

    def url(self, port: int) -> str:
        query = f"authSource=admin&replicaSet={REPLICA_SET}"
        return f"mongodb://{USER}:{self.password}@127.0.0.1:{port}/admin?{query}"

    def creation(self, data: Path) -> list[str | Path]:
        return []

    def prepare(self) -> None:
        """Do nothing: what a new server has to know is said to it when it runs."""

    def command(self, port: int) -> list[str | Path]:
        storage = ",".join([*_STORAGE, *([] if self.durable else _NOT_DURABLE)])
        options = [f"--port={port}", "--bind_ip=127.0.0.1", f"--dbpath={self.home / 'data'}"]
        # Members of the set know each other by this key; it is one of the password's letters.
        options += [f"--replSet={REPLICA_SET}", f"--keyFile={self.home / 'password'}"]
        options += ["--wiredTigerCacheSizeGB=0.25", "--oplogSize=64"]
        options += [f"--wiredTigerEngineConfigString={storage}"]
        # A socket's path is limited to 107 characters.
        options += [] if sys.platform == "win32" else ["--nounixsocket"]
        for name, value in {**_PARAMETERS, **self.settings}.items():
            option = f"{name}={value}"
            options += [option] if name.startswith("--") else ["--setParameter", option]
        mongod = self.programs["mongod"]
        return [_reachable(mongod) if account() else mongod, *options]

    def is_ready(self, pid: int) -> bool:
        return "Waiting for connections" in super().log()

    def log(self) -> str:
        """Return what the server complained of since its last start; most of its log is no news."""
        log = super().log()
        return "\n".join(_complaints(log)) or log


class LocalMongoDB(LocalServer):
    """One MongoDB on 127.0.0.1.

    Settings are parameters, as in `{"notablescan": "true"}`; with dashes, they are options of the
    program, as in `{"--maxConns": "9"}`.
    """

    process = _Process

    @staticmethod
    def find_programs() -> dict[str, str]:
        """Return where `mongod` is: the machine's, else the wheel's.

        Raises LocalServerError if it is nowhere.
        """
        if mongod := shutil.which("mongod") or next(_of_wheel(), None):
            return {"mongod": mongod}
        raise LocalServerError(
            "No MongoDB on this machine: run `uv sync`, whose dev group brings one, or set "
            "TEST_MONGODB_URI (tests) or DATABASE_URL (application) to a server that you have."
        )

    def restart(self) -> None:
        """Start the server again on the same port and data, and return when it takes writes.

        Raises LocalServerError if it does not come up.
        """
        super().restart()
        _settle(self.url)


def _of_wheel() -> Iterator[str]:
    # Found from the outer package: to look for the inner one would run the outer one's code.
    wheel = importlib.util.find_spec("fiftyone")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        if mongod := shutil.which("mongod", path=Path(folder) / "db" / "bin"):
            yield mongod


def _settle(url: str) -> None:
    """See that the server is its set's only member, takes writes, and has a user."""
    parts = urlsplit(url)
    address, password = f"{parts.hostname}:{parts.port}", parts.password or ""
    deadline, failure = time.monotonic() + START_SECONDS, "it takes no writes"
    while time.monotonic() < deadline:
        try:
            # A client for each attempt: one that came too early knows nothing of sessions.
            with _come_as_member(address, password) as client:
                if _takes_writes(client, address):
                    _see_to_user(client, password)
                    return
        except PyMongoError as error:
            failure = str(error)
        time.sleep(0.01)
    raise LocalServerError(f"MongoDB did not become a replica set: {failure}")


def _come_as_member(address: str, password: str) -> Client:
    """Come as another member of the set would, by its key: there may be no user yet."""
    return MongoClient(
        address,
        username="__system",
        password=password,
        authSource="local",
        authMechanism="SCRAM-SHA-256",
        directConnection=True,
        serverSelectionTimeoutMS=1000,
    )


def _takes_writes(client: Client, member: str) -> bool:
    """Whether the server takes writes; if it is not the set's one member, it is told so first."""
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
        # By force, as nobody is there to agree: no member is at the old address.
        client.admin.command("replSetReconfig", config, force=True)
    return False


def _see_to_user(client: Client, password: str) -> None:
    if not client.admin.command("usersInfo", USER)["users"]:
        client.admin.command("createUser", USER, pwd=password, roles=["root"])


def _complaints(log: str) -> Iterator[str]:
    """Yield what of a log is an error, in words; whatever is not of the log's form is one."""
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


# --- Root only: the program within the reach of `nobody` ------------------------------------------


def _reachable(program: Path) -> Path:
    """Return the program, or a copy of it that `nobody` can run."""
    if is_reachable(program):
        return program
    with program.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    copy = temporary_folder() / f"mongod-{digest[:16]}"
    if not copy.exists() or copy.lstat().st_uid != 0:  # somebody else's
        with tempfile.TemporaryDirectory(prefix="mongod-copy-", dir=copy.parent) as temporary:
            fresh = Path(temporary) / copy.name
            shutil.copyfile(program, fresh)
            fresh.chmod(0o755)
            fresh.replace(copy)
    return copy


if __name__ == "__main__":
    run(LocalMongoDB, "local_mongodb")
