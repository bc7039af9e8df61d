"""Three MongoDB servers that know each other, one of which may be killed.

Each is started by a process that ends it when its own standard input ends, and so with whoever
started that, however that ended.
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

# How long the others wait for a sign of the primary before they vote for another: ten seconds, if
# nothing is said.
TIMES = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}

# How long the primary is alone with what it writes, before it is killed. Longer, and it would let
# another take its place.
AHEAD = 0.3

# From start to a primary; and from the death of one to another.
PATIENCE = 60.0

STARTER = """
import subprocess, sys
with subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL) as server:
    sys.stdin.read()
    server.kill()
"""


class State(Enum):
    """What a server is to the others."""

    AWAY = "away"
    NEW = "new"
    PRIMARY = "primary"
    SECONDARY = "secondary"


class Member:
    """One of the servers."""

    def __init__(self, folder: Path, parameters: Mapping[str, str]) -> None:
        self.port = free_port()
        self._folder = folder / str(self.port)
        self._parameters = {
            "diagnosticDataCollectionEnabled": "false",
            # Else it cannot be kept from following.
            "enableTestCommands": "1",
            **parameters,
        }
        self._starter: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """What the others know it by."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to start it."""
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
        """End it as the machine would."""
        if self._starter:
            self._starter.communicate()

    def follow(self, whether: bool) -> None:
        """Take over what the primary writes, or nothing of it."""
        mode = "off" if whether else "alwaysOn"
        self.command("configureFailPoint", "stopReplProducer", mode=mode)

    def command(self, name: str, value: object = 1, **more: object) -> dict[str, Any]:
        """Tell it something."""
        with MongoClient[dict[str, Any]](
            "127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=500
        ) as client:
            return client.admin.command({name: value, **more})

    def state(self) -> State:
        """What it is at the moment."""
        try:
            said = self.command("hello")
        except PyMongoError:
            return State.AWAY
        if said["isWritablePrimary"]:
            return State.PRIMARY
        return State.SECONDARY if said["secondary"] else State.NEW


class ReplicaSet:
    """All of them."""

    def __init__(self, folder: Path, parameters: Mapping[str, str]) -> None:
        self._members = [Member(folder, parameters) for _ in range(MEMBERS)]

    @property
    def url(self) -> str:
        """The URL of whichever is the primary."""
        hosts = ",".join(member.host for member in self._members)
        return f"mongodb://{hosts}/{NAME}?replicaSet={NAME}"

    def start(self) -> None:
        """Start them, and wait until one leads and the others follow."""
        for member in self._members:
            member.start()
        self._wait_for([State.NEW] * MEMBERS)
        members = [{"_id": n, "host": each.host} for n, each in enumerate(self._members)]
        config = {"_id": NAME, "members": members, "settings": TIMES}
        self._members[0].command("replSetInitiate", config)
        self._wait_for_order()

    def stop(self) -> None:
        """Leave nothing of them running."""
        for member in self._members:
            member.kill()

    def replace_primary(self) -> None:
        """Kill the primary, whose last writes nobody else has.

        It is started again when another leads, and this returns when it follows.
        """
        [lost] = [each for each in self._members if each.state() is State.PRIMARY]
        others = [each for each in self._members if each is not lost]
        for other in others:
            other.follow(False)
        time.sleep(AHEAD)
        lost.kill()
        for other in others:
            other.follow(True)
        self._wait_for([State.AWAY, State.PRIMARY, State.SECONDARY])
        lost.start()
        self._wait_for_order()

    def _wait_for_order(self) -> None:
        self._wait_for([State.PRIMARY, *[State.SECONDARY] * (MEMBERS - 1)])

    def _wait_for(self, wanted: Sequence[State]) -> None:
        deadline = time.monotonic() + PATIENCE
        while (found := Counter(each.state() for each in self._members)) != Counter(wanted):
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
