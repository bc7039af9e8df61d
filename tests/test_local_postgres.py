"""The private PostgreSQL of a project: what it starts, what it keeps, and what it leaves behind.

The module knows nothing of the project that it is written into, and is run from where it stands.
"""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import local_postgres
import pytest
from local_postgres import LocalPostgres, LocalServerError

SOURCE = Path(local_postgres.__file__).parent


def query(url: str, *statements: str) -> list[object]:
    async def run() -> list[object]:
        connection = await asyncpg.connect(url)
        try:
            return [await connection.fetchval(statement) for statement in statements]
        finally:
            await connection.close()

    return asyncio.run(run())


def home_of(server: LocalPostgres) -> Path:
    return Path(str(query(server.url, "show data_directory")[0])).parent


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def processes_of(home: Path) -> list[str]:
    """The processes that work in the folder, as all of PostgreSQL's do."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(process.joinpath("cwd").readlink()).startswith(str(home)):
                found.append(process.joinpath("cmdline").read_text())
        except OSError:
            continue
    return found


def eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    """A folder to keep a cluster in; under pytest's own, which only its owner can enter."""
    folder = tmp_path / "kept"
    yield folder
    if (folder / "LOCATION").exists():
        shutil.rmtree((folder / "LOCATION").read_text().strip())


STARTER = """
import os, sys, time
from pathlib import Path
from local_postgres import LocalPostgres
server = LocalPostgres(Path(sys.argv[1]) if sys.argv[1:] else None).start()
if os.environ.get("FORK") and os.fork() == 0:
    time.sleep(60)
print(server.url, server.pid, flush=True)
time.sleep(60)
"""


def starter(*arguments: str, fork: bool = False) -> "tuple[subprocess.Popen[str], str, int]":
    """Another process that starts a server; its own session, as a test runner's would be."""
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "FORK": "1" if fork else ""},
    )
    assert process.stdout
    url, pid = process.stdout.readline().split()
    process.stdout.close()
    return process, url, int(pid)


def test_starts_in_a_moment_and_answers() -> None:
    started = time.monotonic()
    with LocalPostgres() as server:
        assert time.monotonic() - started < 10
        rows = query(server.url, "select 1", "show timezone", "show fsync", "select lower('Ä')")
        assert rows == [1, "UTC", "off", "ä"]
        assert query(server.url, "show listen_addresses", "show unix_socket_directories") == [
            "127.0.0.1",
            "",
        ]


def test_refuses_another_password() -> None:
    with LocalPostgres() as server:
        wrong = server.url.replace("://postgres:", "://postgres:x")
        with pytest.raises(asyncpg.InvalidPasswordError):
            query(wrong, "select 1")


def test_settings_win_over_the_defaults() -> None:
    with LocalPostgres(settings={"max_connections": "23"}, durable=True) as server:
        assert query(server.url, "show max_connections", "show fsync") == ["23", "on"]


def test_stop_leaves_nothing_behind() -> None:
    server = LocalPostgres().start()
    home, pid = home_of(server), server.pid
    assert processes_of(home)
    server.stop()
    server.stop()
    assert not home.exists()
    assert not is_alive(pid)
    with pytest.raises(LocalServerError, match="not started"):
        _ = server.url


def test_a_kept_cluster_keeps_its_rows(kept: Path) -> None:
    with LocalPostgres(kept) as server:
        query(server.url, "create table t (n int)", "insert into t values (7)")
        assert query(server.url, "show fsync") == ["on"]
        password = home_of(server) / "password"
        assert stat.S_IMODE(password.stat().st_mode) == 0o600
    with LocalPostgres(kept) as server:
        assert query(server.url, "select n from t") == [7]


def test_a_second_server_in_the_folder_is_refused_in_a_sentence(kept: Path) -> None:
    with LocalPostgres(kept) as server:
        with pytest.raises(LocalServerError) as refused:
            LocalPostgres(kept).start()
        assert "already running" in str(refused.value)
        assert f"process {server.pid}, port " in str(refused.value)
        assert "\n" not in str(refused.value)
        assert query(server.url, "select 1") == [1]


def test_a_stale_process_file_does_not_matter(kept: Path) -> None:
    with LocalPostgres(kept) as server:
        home = home_of(server)
        stale = (home / "data" / "postmaster.pid").read_text().splitlines()
    unrelated = subprocess.Popen(["sleep", "60"], **local_postgres._account())
    (home / "data" / "postmaster.pid").write_text("\n".join([str(unrelated.pid), *stale[1:]]))
    try:
        with LocalPostgres(kept) as server:
            assert query(server.url, "select 1") == [1]
    finally:
        unrelated.kill()
        unrelated.wait()


@pytest.mark.parametrize("kill", [os.kill, os.killpg])
def test_ends_when_its_starter_is_killed(kill: Callable[[int, int], None]) -> None:
    process, url, pid = starter()
    home = Path(str(query(url, "show data_directory")[0])).parent
    kill(process.pid, signal.SIGKILL)
    process.wait()
    assert eventually(lambda: not is_alive(pid) and not home.exists())
    assert processes_of(home) == []


def test_ends_when_its_starter_is_killed_though_a_forked_child_lives() -> None:
    process, url, pid = starter(fork=True)
    home = Path(str(query(url, "show data_directory")[0])).parent
    process.kill()
    process.wait()
    assert eventually(lambda: not is_alive(pid) and not home.exists())
    os.killpg(process.pid, signal.SIGKILL)


def test_a_kept_folder_is_free_again_when_its_starter_was_killed(kept: Path) -> None:
    process, url, pid = starter(str(kept))
    query(url, "create table t as select 1 n")
    process.kill()
    process.wait()
    with LocalPostgres(kept) as server:
        assert query(server.url, "select n from t") == [1]
    assert not is_alive(pid)


if sys.platform == "linux":  # only Linux tells a child

    def test_the_server_ends_when_the_supervisor_is_killed() -> None:
        server = LocalPostgres().start()
        home, pid = home_of(server), server.pid
        assert server._supervisor
        server._supervisor.kill()
        assert eventually(lambda: processes_of(home) == [])
        with pytest.raises(LocalServerError, match="unexpectedly"):
            server.restart()
        server.stop()
        assert not is_alive(pid)
        shutil.rmtree(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_the_supervisor_does_not_heed_the_terminal(number: int) -> None:
    with LocalPostgres() as server:
        assert server._supervisor
        server._supervisor.send_signal(number)
        time.sleep(0.2)
        assert query(server.url, "select 1") == [1]


def test_the_supervisor_cleans_up_at_sigterm() -> None:
    with LocalPostgres() as server:
        home = home_of(server)
        assert server._supervisor
        server._supervisor.terminate()
        assert eventually(lambda: not home.exists())
        assert processes_of(home) == []


def test_restart_after_a_crash_keeps_committed_rows() -> None:
    with LocalPostgres(durable=True) as server:
        query(server.url, "create table t (n int)", "insert into t values (7)")
        url, pid = server.url, server.pid
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: not Path(f"/proc/{pid}").exists())
        server.restart()
        assert server.url == url
        assert server.pid != pid
        assert query(url, "select n from t") == [7]
        server.restart()
        assert query(url, "select n from t") == [7]
        home = home_of(server)
        os.kill(server.pid, signal.SIGKILL)
    assert not home.exists()
    assert eventually(lambda: processes_of(home) == [])


def test_restart_waits_for_the_last_children_of_a_killed_server() -> None:
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
        assert query(server.url, "select 1") == [1]


def test_a_wrong_setting_is_told_with_the_log() -> None:
    with pytest.raises(LocalServerError) as error:
        LocalPostgres(settings={"shared_buffers": "many"}).start()
    assert 'invalid value for parameter "shared_buffers": "many"' in str(error.value)
