"""The local servers of projects: how they start, what they store, and that they clean up.

The modules are independent of the project and are imported from the template. The first tests run
for every kind of server; those of a single kind come last.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil
import pymongo.errors
import pymysql
import pytest
from pymongo import MongoClient
from servers import local_server
from servers.local_mariadb import LocalMariaDB
from servers.local_mongodb import LocalMongoDB
from servers.local_postgres import LocalPostgres
from servers.local_server import LocalServer, LocalServerError

SOURCE = Path(local_server.__file__).parents[1]


def ask_postgres(url: str, *statements: str) -> list[object]:
    async def run() -> list[object]:
        connection = await asyncpg.connect(url)
        try:
            return [await connection.fetchval(statement) for statement in statements]
        finally:
            await connection.close()

    return asyncio.run(run())


def ask_mariadb(url: str, *statements: str) -> list[object]:
    parts = urlsplit(url)
    with (
        pymysql.connect(
            host=parts.hostname,
            port=parts.port or 0,
            user=parts.username,
            password=parts.password or "",
            database=parts.path[1:],
            autocommit=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        results: list[object] = []
        for statement in statements:
            cursor.execute(statement)
            results.append((cursor.fetchone() or [None])[0])
        return results


Mongo = MongoClient[dict[str, Any]]


def ask_mongodb(url: str, *statements: Callable[[Mongo], object]) -> list[object]:
    with Mongo(url, serverSelectionTimeoutMS=5000) as client:
        return [statement(client) for statement in statements]


def options_of_mongodb(client: Mongo) -> Any:
    return client.admin.command("getCmdLineOpts")["parsed"]


def in_a_transaction(client: Mongo) -> None:
    with client.start_session() as session, session.start_transaction():
        client["test"]["t"].insert_one({"n": 7}, session=session)


@dataclass(frozen=True)
class Kind:
    """One kind of server, with its own statements for the same purposes."""

    server: type[LocalServer]
    query: Callable[..., list[object]]
    ping: Any  # returns 1
    write: tuple[Any, ...]
    read: Any  # returns the 7 that `write` stored
    data: Any
    is_durable: Any
    wrong_password: tuple[type[Exception], str]
    wrong_setting: tuple[dict[str, str], str]

    def home(self, url: str) -> Path:
        """Return the folder that contains the data folder."""
        return Path(str(self.query(url, self.data)[0])).parent

    def __str__(self) -> str:
        return self.server.process.prefix


SQL: dict[str, Any] = {
    "ping": "select 1",
    "write": ("create table t (n int)", "insert into t values (7)"),
    "read": "select n from t",
}

KINDS = [
    Kind(
        LocalPostgres,
        ask_postgres,
        **SQL,
        data="show data_directory",
        is_durable="select current_setting('fsync') = 'on'",
        wrong_password=(asyncpg.InvalidPasswordError, "password"),
        wrong_setting=(
            {"shared_buffers": "many"},
            'invalid value for parameter "shared_buffers": "many"',
        ),
    ),
    Kind(
        LocalMariaDB,
        ask_mariadb,
        **SQL,
        data="select @@datadir",
        is_durable="select @@innodb_flush_log_at_trx_commit = 1 and @@innodb_doublewrite",
        wrong_password=(pymysql.err.OperationalError, "password"),
        wrong_setting=({"max-conections": "23"}, "unknown variable 'max-conections=23'"),
    ),
    Kind(
        LocalMongoDB,
        ask_mongodb,
        ping=lambda client: client.admin.command("ping")["ok"],
        write=(in_a_transaction,),
        read=lambda client: client["test"]["t"].find_one()["n"],
        data=lambda client: options_of_mongodb(client)["storage"]["dbPath"],
        is_durable=lambda client: "checkpoint_sync=false" not in str(options_of_mongodb(client)),
        wrong_password=(pymongo.errors.OperationFailure, "Authentication failed"),
        wrong_setting=({"maxConections": "23"}, "Unknown --setParameter 'maxConections'"),
    ),
]


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of server."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def data_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server's data, below pytest's own folder, which only its owner can enter."""
    folder = tmp_path / "data of a server"
    yield folder
    if (folder / "LOCATION").exists():
        shutil.rmtree((folder / "LOCATION").read_text().strip())


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def processes_of(home: Path) -> list[str]:
    """Return the processes with a working folder below `home`, as all of a server's have."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(process.joinpath("cwd").readlink()).startswith(str(home)):
                found.append(process.joinpath("cmdline").read_text())
        except OSError:
            continue
    return found


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


STARTER = """
import importlib, os, sys, time
from pathlib import Path
module, name, *folder = sys.argv[1:]
server = getattr(importlib.import_module(module), name)(*map(Path, folder)).start()
if os.environ.get("FORK") and os.fork() == 0:
    time.sleep(60)
print(server.url, server.pid, flush=True)
time.sleep(60)
"""


def starter(
    kind: Kind, *folder: Path, fork: bool = False
) -> tuple[subprocess.Popen[str], str, int]:
    """Start a server from another process in its own session, as a test runner would."""
    names = [kind.server.__module__, kind.server.__name__]
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, *names, *folder],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "FORK": "1" if fork else ""},
    )
    assert process.stdout
    url, pid = process.stdout.readline().split()
    process.stdout.close()
    return process, url, int(pid)


def test_a_server_starts_quickly_and_accepts_queries(kind: Kind) -> None:
    started = time.monotonic()
    with kind.server() as server:
        assert time.monotonic() - started < 20
        assert kind.query(server.url, kind.ping, kind.is_durable) == [1, False]


def test_a_wrong_password_is_rejected(kind: Kind) -> None:
    with kind.server() as server:
        password = str(urlsplit(server.url).password)
        error, message = kind.wrong_password
        with pytest.raises(error, match=message):
            kind.query(server.url.replace(password, f"x{password}"), kind.ping)


def test_stop_leaves_nothing_behind(kind: Kind) -> None:
    server = kind.server().start()
    home, pid = kind.home(server.url), server.pid
    assert processes_of(home)
    server.stop()
    server.stop()
    assert not home.exists()
    assert not is_alive(pid)
    with pytest.raises(LocalServerError, match="not started"):
        _ = server.url


def test_a_server_with_a_data_folder_is_persistent(kind: Kind, data_folder: Path) -> None:
    with kind.server(data_folder) as server:
        kind.query(server.url, *kind.write)
        assert kind.query(server.url, kind.is_durable) == [True]
        password = kind.home(server.url) / "password"
        assert stat.S_IMODE(password.stat().st_mode) == 0o600
        url = server.url
    with kind.server(data_folder) as server:
        assert kind.query(server.url, kind.read) == [7]
        assert urlsplit(server.url).password == urlsplit(url).password


def test_a_second_server_in_the_folder_is_rejected_with_a_message(
    kind: Kind, data_folder: Path
) -> None:
    with kind.server(data_folder) as server:
        with pytest.raises(LocalServerError) as raised:
            kind.server(data_folder).start()
        assert "already running" in str(raised.value)
        assert f"process {server.pid}, port " in str(raised.value)
        assert "\n" not in str(raised.value)
        assert kind.query(server.url, kind.ping) == [1]


@pytest.mark.parametrize("kill", [os.kill, os.killpg])
def test_a_server_stops_when_its_parent_is_killed(
    kind: Kind, kill: Callable[[int, int], None]
) -> None:
    process, url, pid = starter(kind)
    home = kind.home(url)
    kill(process.pid, signal.SIGKILL)
    process.wait()
    assert eventually(lambda: not is_alive(pid) and not home.exists())
    assert processes_of(home) == []


def test_a_server_stops_when_its_parent_is_killed_but_a_forked_child_lives(kind: Kind) -> None:
    process, url, pid = starter(kind, fork=True)
    home = kind.home(url)
    process.kill()
    process.wait()
    assert eventually(lambda: not is_alive(pid) and not home.exists())
    os.killpg(process.pid, signal.SIGKILL)


def test_a_data_folder_can_be_used_again_after_its_parent_was_killed(
    kind: Kind, data_folder: Path
) -> None:
    process, url, pid = starter(kind, data_folder)
    kind.query(url, *kind.write)
    process.kill()
    process.wait()
    with kind.server(data_folder) as server:
        assert kind.query(server.url, kind.read) == [7]
    assert not is_alive(pid)


if sys.platform == "linux":  # only Linux notifies a child

    def test_a_server_stops_when_its_supervisor_is_killed(kind: Kind) -> None:
        server = kind.server().start()
        home, pid = kind.home(server.url), server.pid
        assert server._supervisor
        server._supervisor.kill()
        assert eventually(lambda: processes_of(home) == [])
        with pytest.raises(LocalServerError, match="unexpectedly"):
            server.restart()
        server.stop()
        assert not is_alive(pid)
        shutil.rmtree(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_the_supervisor_ignores_signals_of_the_terminal(kind: Kind, number: int) -> None:
    with kind.server() as server:
        assert server._supervisor
        server._supervisor.send_signal(number)
        time.sleep(0.2)
        assert kind.query(server.url, kind.ping) == [1]


def test_the_supervisor_cleans_up_on_sigterm(kind: Kind) -> None:
    with kind.server() as server:
        home = kind.home(server.url)
        assert server._supervisor
        server._supervisor.terminate()
        assert eventually(lambda: not home.exists())
        assert processes_of(home) == []


@pytest.mark.parametrize("durable", [True, False])
def test_a_restart_after_a_crash_preserves_committed_data(
    kind: Kind, durable: bool, data_folder: Path
) -> None:
    settings = {"synchronous_commit": "on"} if kind.server is LocalPostgres else {}
    with kind.server(data_folder if durable else None, settings=settings) as server:
        kind.query(server.url, *kind.write)
        url, pid = server.url, server.pid
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: not Path(f"/proc/{pid}").exists())
        server.restart()
        assert server.url == url
        assert server.pid != pid
        assert kind.query(url, kind.read) == [7]
        server.restart()
        assert kind.query(url, kind.read) == [7]
        home = kind.home(url)
        os.kill(server.pid, signal.SIGKILL)
    assert home.exists() == durable
    assert eventually(lambda: processes_of(home) == [])


def test_a_server_that_has_to_keep_running_is_restarted(
    kind: Kind, data_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def answers() -> bool:
        try:
            return kind.query(server.url, kind.read) == [7]
        except (OSError, asyncpg.PostgresError, pymysql.Error, pymongo.errors.PyMongoError):
            return False

    with kind.server(data_folder, keeps_running=True) as server:
        kind.query(server.url, *kind.write)
        assert server._supervisor
        for _ in range(2):
            [process] = psutil.Process(server._supervisor.pid).children()
            process.kill()
            process.wait(30)
            assert eventually(answers)
    said = f"{kind.server.process.product} has stopped. Restarting it.\n"
    assert capfd.readouterr().err == 2 * said


def test_an_invalid_setting_is_reported_with_the_log(kind: Kind) -> None:
    settings, message = kind.wrong_setting
    with pytest.raises(LocalServerError) as error:
        kind.server(settings=settings).start()
    assert message in str(error.value)


def test_a_port_that_another_program_takes_first_is_replaced(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port is free when it is chosen; another program can bind it before the server does."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        ports = iter([taken, local_server._free_port()])
        monkeypatch.setattr(local_server, "_free_port", lambda: next(ports))
        process = kind.server.process(kind.server.find_programs(), None, {})
        try:
            response = process.start()
            assert "failed" not in response
            assert urlsplit(str(response["url"])).port != taken
        finally:
            process.close()


# ---- PostgreSQL only


def test_postgres_supports_unicode_and_listens_on_localhost_only() -> None:
    with LocalPostgres() as server:
        assert ask_postgres(server.url, "show timezone", "select lower('Ä')") == ["UTC", "ä"]
        assert ask_postgres(
            server.url, "show listen_addresses", "show unix_socket_directories"
        ) == [
            "127.0.0.1",
            "",
        ]


def test_settings_override_the_defaults_of_postgres() -> None:
    with LocalPostgres(settings={"max_connections": "23", "fsync": "on"}) as server:
        assert ask_postgres(server.url, "show max_connections", "show fsync") == ["23", "on"]


if sys.platform == "linux":  # only Linux has the folder

    def test_postgres_does_not_need_dev_shm() -> None:
        """In a container, it is small by default; other programs can fill it."""
        with LocalPostgres() as server:
            maps = Path(f"/proc/{server.pid}/maps").read_text()
            assert "postgres" in maps
            assert "/dev/shm/" not in maps
            [data] = ask_postgres(server.url, "show data_directory")
            configured = (Path(str(data)) / "postgresql.conf").read_text()
            assert "\ndynamic_shared_memory_type = mmap" in configured


def test_a_stale_pid_file_is_ignored(data_folder: Path) -> None:
    with LocalPostgres(data_folder) as server:
        data = Path(str(ask_postgres(server.url, "show data_directory")[0]))
        stale = (data / "postmaster.pid").read_text().splitlines()
    unrelated = subprocess.Popen(["sleep", "60"], **local_server.account())
    (data / "postmaster.pid").write_text("\n".join([str(unrelated.pid), *stale[1:]]))
    try:
        with LocalPostgres(data_folder) as server:
            assert ask_postgres(server.url, "select 1") == [1]
    finally:
        unrelated.kill()
        unrelated.wait()


def test_restart_waits_for_the_last_children_of_a_killed_postgres() -> None:
    async def crash_under_load(server: LocalPostgres) -> None:
        busy = await asyncpg.connect(server.url)
        work = busy.fetchval("select count(*) from generate_series(1, 10000000)")
        task = asyncio.create_task(work)
        await asyncio.sleep(0.3)
        os.kill(server.pid, signal.SIGKILL)
        await asyncio.to_thread(server.restart)
        await asyncio.gather(task, return_exceptions=True)

    with LocalPostgres() as server:
        asyncio.run(crash_under_load(server))
        assert ask_postgres(server.url, "select 1") == [1]


# ---- MariaDB only


def test_mariadb_uses_utf8_and_listens_on_localhost_only() -> None:
    with LocalMariaDB() as server:
        variables = "@@character_set_server", "@@time_zone", "@@bind_address", "lower('Ä')"
        rows = ask_mariadb(server.url, *(f"select {each}" for each in variables))
        assert rows == ["utf8mb4", "+00:00", "127.0.0.1", "ä"]


def test_mariadb_requires_a_password() -> None:
    with LocalMariaDB() as server:
        address = server.url.partition("@")[2]
        for user in ("root", "nobody", "mariadb.sys", ""):
            with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
                ask_mariadb(f"mariadb://{user}@{address}", "select 1")


def test_settings_override_the_defaults_of_mariadb() -> None:
    with LocalMariaDB(settings={"character-set-server": "latin1"}) as server:
        assert ask_mariadb(server.url, "select @@character_set_server") == ["latin1"]


def test_a_missing_mariadb_is_reported_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("servers.local_mariadb._FOLDERS", ())
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with pytest.raises(LocalServerError) as error:
        LocalMariaDB().start()
    assert "\n" not in str(error.value)
    install = "apt-get install --no-install-recommends mariadb-server-core mariadb-client-core"
    for hint in (install, "brew install mariadb", "TEST_DATABASE_URL"):
        assert hint in str(error.value)


# ---- MongoDB only


def test_mongodb_listens_on_localhost_only_and_uses_little_space() -> None:
    with LocalMongoDB() as server:
        options, members, size = ask_mongodb(
            server.url,
            options_of_mongodb,
            lambda client: client.admin.command("replSetGetConfig")["config"]["members"],
            lambda client: client.admin.command("serverStatus")["wiredTiger"]["cache"][
                "maximum bytes configured"
            ],
        )
        assert isinstance(options, dict)
        assert options["net"]["bindIp"] == "127.0.0.1"
        assert options["net"]["unixDomainSocket"] == {"enabled": False}
        assert isinstance(members, list)
        assert [member["host"] for member in members] == [server.url.split("@")[1].split("/")[0]]
        assert size == 2**28
        data = Path(options["storage"]["dbPath"])
        assert sum(file.stat().st_size for file in data.rglob("*") if file.is_file()) < 2**25


def test_mongodb_requires_a_password() -> None:
    with LocalMongoDB() as server:
        address = server.url.partition("@")[2].partition("/")[0]
        with (
            Mongo(f"mongodb://{address}/?directConnection=true") as client,
            pytest.raises(pymongo.errors.OperationFailure, match="requires authentication"),
        ):
            client.admin.command("createUser", "intruder", pwd="x", roles=["root"])


def test_settings_override_the_defaults_of_mongodb() -> None:
    def collecting(client: Mongo) -> object:
        name = "diagnosticDataCollectionEnabled"
        return client.admin.command({"getParameter": 1, name: True})[name]

    with LocalMongoDB(settings={"diagnosticDataCollectionEnabled": "true"}) as server:
        assert ask_mongodb(server.url, collecting) == [True]


def test_expired_documents_stay_on_a_temporary_mongodb_only(data_folder: Path) -> None:
    def expiring(client: Mongo) -> object:
        return client.admin.command({"getParameter": 1, "ttlMonitorEnabled": True})

    for folder, enabled in ((None, False), (data_folder, True)):
        with LocalMongoDB(folder) as server:
            [parameters] = ask_mongodb(server.url, expiring)
            assert isinstance(parameters, dict)
            assert parameters["ttlMonitorEnabled"] is enabled


def test_a_persistent_mongodb_works_on_any_port(data_folder: Path) -> None:
    ports = set()
    for number in range(3):
        with LocalMongoDB(data_folder) as server:
            assert ask_mongodb(
                server.url, lambda client: client["test"]["t"].count_documents({})
            ) == [number]
            ask_mongodb(server.url, in_a_transaction)
            ports.add(urlsplit(server.url).port)
    assert len(ports) > 1


def test_a_restarted_mongodb_can_verify_the_times_that_clients_send() -> None:
    with LocalMongoDB() as server:
        os.kill(server.pid, signal.SIGKILL)
        server.restart()
        [response] = ask_mongodb(server.url, lambda client: client.admin.command("ping"))
        assert isinstance(response, dict)
        assert response["$clusterTime"]["signature"]["keyId"]


def test_a_mongodb_on_path_is_preferred_to_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = tmp_path / "mongod"
    machines.touch(mode=0o755)
    wheels = LocalMongoDB.find_programs()["mongod"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert LocalMongoDB.find_programs() == {"mongod": str(machines)}
    machines.unlink()
    assert LocalMongoDB.find_programs() == {"mongod": wheels}
    assert "fiftyone" in Path(wheels).parts
    assert "fiftyone" not in sys.modules


def test_a_missing_mongodb_is_reported_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LocalServerError) as error:
        LocalMongoDB().start()
    assert "\n" not in str(error.value)
    for hint in ("uv sync", "TEST_MONGODB_URI"):
        assert hint in str(error.value)
