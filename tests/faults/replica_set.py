"""A replica set of three MongoDB servers, one of which can be killed.

A starter process runs each server and kills it when its own standard input closes, so the servers
end with the tests, even if the tests are killed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from servers.local_mongodb import LocalMongoDB

from tests.pooler import free_port

NAME = "bank"
MEMBERS = 3

# How long the others wait for the primary before they elect another. The default is ten seconds.
TIMES = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}

# How long the primary writes without replication before it is killed. With a longer time, it would
# step down first.
AHEAD = 0.3

# The time limit for electing a primary, at the start or after a failure.
PATIENCE = 60.0

STARTER = """
import subprocess, sys
with subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL) as server:
    sys.stdin.read()
    server.kill()
"""


class State(Enum):
    """The role of a server in the set."""

    DOWN = "down"
    NEW = "new"
    PRIMARY = "primary"
    SECONDARY = "secondary"


class Member:
    """One server of the set."""

    def __init__(self, folder: Path, parameters: Mapping[str, str]) -> None:
        self.port = free_port()
        self._folder = folder / str(self.port)
        self._parameters = {
            "diagnosticDataCollectionEnabled": "false",
            # Allows the fail point that stops replication.
            "enableTestCommands": "1",
            **parameters,
        }
        self._starter: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """The address that the other servers use."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server without waiting for it."""
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        options = [f"--port={self.port}", "--bind_ip=127.0.0.1", f"--dbpath={data}"]
        options += [f"--replSet={NAME}", f"--logpath={self._folder / 'log'}", "--logappend"]
        options += ["--wiredTigerCacheSizeGB=0.25", "--oplogSize=64", "--nounixsocket"]
        options += ["--wiredTigerEngineConfigString=log=(file_max=10MB,prealloc=false)"]
        for name, value in self._parameters.items():
            options += ["--setParameter", f"{name}={value}"]
        mongod = LocalMongoDB.find_programs()["mongod"]
        self._starter = subprocess.Popen(
            [sys.executable, "-c", STARTER, mongod, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """Kill the server."""
        if self._starter:
            self._starter.communicate()

    def replicate(self, enabled: bool) -> None:
        """Enable or disable replication from the primary."""
        mode = "off" if enabled else "alwaysOn"
        self.command("configureFailPoint", "stopReplProducer", mode=mode)

    def command(self, name: str, value: object = 1, **more: object) -> dict[str, Any]:
        """Run an administrative command on the server."""
        with MongoClient[dict[str, Any]](
            "127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=500
        ) as client:
            return client.admin.command({name: value, **more})

    def state(self) -> State:
        """Return the current role of the server."""
        try:
            reply = self.command("hello")
        except PyMongoError:
            return State.DOWN
        if reply["isWritablePrimary"]:
            return State.PRIMARY
        return State.SECONDARY if reply["secondary"] else State.NEW


class ReplicaSet:
    """The replica set."""

    def __init__(self, folder: Path, parameters: Mapping[str, str]) -> None:
        self._members = [Member(folder, parameters) for _ in range(MEMBERS)]

    @property
    def url(self) -> str:
        """The URL of the set, which leads to the primary."""
        hosts = ",".join(member.host for member in self._members)
        return f"mongodb://{hosts}/{NAME}?replicaSet={NAME}"

    def start(self) -> None:
        """Start the servers, and wait for one primary and two secondaries."""
        for member in self._members:
            member.start()
        self._wait_for([State.NEW] * MEMBERS)
        members = [{"_id": n, "host": each.host} for n, each in enumerate(self._members)]
        config = {"_id": NAME, "members": members, "settings": TIMES}
        self._members[0].command("replSetInitiate", config)
        self._wait_for_primary()

    def stop(self) -> None:
        """Kill all servers."""
        for member in self._members:
            member.kill()

    def replace_primary(self) -> None:
        """Kill the primary before its last writes are replicated.

        Starts it again after the election of another, and returns when it is a secondary.
        """
        [lost] = [each for each in self._members if each.state() is State.PRIMARY]
        others = [each for each in self._members if each is not lost]
        for other in others:
            other.replicate(False)
        time.sleep(AHEAD)
        lost.kill()
        for other in others:
            other.replicate(True)
        self._wait_for([State.DOWN, State.PRIMARY, State.SECONDARY])
        lost.start()
        self._wait_for_primary()

    def _wait_for_primary(self) -> None:
        self._wait_for([State.PRIMARY, *[State.SECONDARY] * (MEMBERS - 1)])

    def _wait_for(self, wanted: Sequence[State]) -> None:
        deadline = time.monotonic() + PATIENCE
        while (found := Counter(each.state() for each in self._members)) != Counter(wanted):
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
