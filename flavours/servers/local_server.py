"""What any private server needs: to be found, started, kept, restarted and never left behind.

Between you and the server stands a supervisor, a process in a session of its own. Nothing in your
process could clean up after a SIGKILL of it; the supervisor watches a pipe from you and, however
you ended, shuts the server down and removes a throw-away folder. If the supervisor itself is
killed, that folder stays, and only Linux shuts the server down.

A kept folder holds `data`, `password`, `log` (of the last start) and `lock`. To begin afresh, stop
the server and delete the folder.

Root's server runs as `nobody`. Only then, and only where `nobody` cannot reach the kept folder, as
below /root, its data lives in a folder in /var/tmp, which `LOCATION` in the kept folder names.
Delete that with the folder; beware that some systems clear /var/tmp of files unused for a month.

On Windows, which this was not tried on, the server is not shut down but terminated, and a kept one
recovers at its next start.
"""

import argparse
import ctypes
import hashlib
import importlib
import io
import json
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
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Self

START_SECONDS = 30.0
_RETRY_SECONDS = 5.0
_STOP_SECONDS = 5.0

# The folder that the package is imported from comes last, so that it shadows no other module.
_SUPERVISOR = f"""
import importlib, sys
sys.path.append({str(Path(__file__).resolve().parents[__name__.count(".")])!r})
importlib.import_module({__name__!r}).supervise(*sys.argv[1:])
"""


class LocalServerError(Exception):
    """The local server could not be found, started or reached; the message says why."""


class LocalServer(ABC):
    """One server on 127.0.0.1, which ends when this process does.

    Args:
        folder: Where the data stays between runs; without it, a temporary folder that goes at stop.
        settings: Server settings, by name; they win over the defaults.
        durable: Whether commits survive a power cut. By default, those in a kept folder do.
    """

    process: ClassVar[type["ServerProcess"]]

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

    @staticmethod
    @abstractmethod
    def find_programs() -> dict[str, str]:
        """Return where the server's programs are, by name.

        Raises LocalServerError if one of them is nowhere; the message says how to get them.
        """

    @property
    def url(self) -> str:
        """The administrator's URL, with password. LocalServerError if the server is not started."""
        self._started()
        return self._url

    @property
    def pid(self) -> int:
        """The server's process, for fault tests. LocalServerError if the server is not started."""
        self._started()
        return self._pid

    def start(self) -> Self:
        """Start the server and return when it accepts connections, a new one in about a second.

        Raises LocalServerError if its programs are not there, if it does not start, or if a server
        is already running in the folder.
        """
        if self._supervisor is not None:
            raise LocalServerError(
                f"This {type(self).__name__} is started already; call stop() first."
            )
        order = json.dumps({"programs": self.find_programs(), **self._order})
        spec = sys.modules[type(self).__module__].__spec__
        assert spec
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-c", _SUPERVISOR, spec.name, type(self).__name__, order],
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
            raise LocalServerError(
                f"The supervisor of the local {self.process.product} ended unexpectedly."
            )
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
            product = self.process.product
            raise LocalServerError(f"The local {product} is not started; call start() first.")
        return self._supervisor


def run(kind: type[LocalServer], module: str) -> None:
    """Run a server until Ctrl-C, as `python -m {{ package }}.MODULE [FOLDER]`, and print its URL."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {{ package }}.{module}",
        description=f"Run a {kind.process.product} until Ctrl-C, and print its URL.",
    )
    parser.add_argument("folder", nargs="?", type=Path, help="keeps the data (default: throw-away)")
    try:
        with kind(parser.parse_args().folder) as server:
            print(server.url, flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    except LocalServerError as error:
        sys.exit(str(error))


# --- The supervisor's process ---------------------------------------------------------------------


def supervise(module: str, kind: str, order: str) -> None:
    """Do what the parent says until it says stop or is gone.

    Each `start` is answered by a line of JSON, `{"url": ..., "pid": ...}` or `{"failed": ...}`.
    """
    parent = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    for name in ("SIGINT", "SIGHUP"):  # Ctrl-C: the application drains its connections first
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    server: ServerProcess = getattr(importlib.import_module(module), kind).process(
        **json.loads(order)
    )
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


class ServerProcess(ABC):
    """The server's process, and the folder that it works in: what is said in each server's way.

    `home` is the folder of `data`, `password` and `log`: that of the user, or one within reach.
    """

    product: ClassVar[str]
    prefix: ClassVar[str]  # of the names of folders
    # What ends the server, the most polite first, and what Linux sends when we are gone.
    farewells: ClassVar[tuple[signal.Signals, ...]]
    # What a log says when the reason passes by itself: a port taken since it was chosen, and the
    # last children of a server that was killed.
    transient: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        programs: dict[str, str],
        folder: str | None,
        settings: Mapping[str, str],
        durable: bool,
    ) -> None:
        self.programs = {name: Path(path) for name, path in programs.items()}
        self.settings = settings
        self.durable = durable
        self._folder = Path(folder) if folder else None
        self.home = self._folder or _new_folder(temporary_folder(), f"{self.prefix}-")
        self._lock: int | None = None
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def password(self) -> str:
        """The administrator's password, which is made with the data."""
        return (self.home / "password").read_text()

    @abstractmethod
    def url(self, port: int) -> str:
        """Return the administrator's URL."""

    @abstractmethod
    def creation(self, data: Path) -> list[str | Path]:
        """Return the command that makes the data of a new server in the empty folder `data`.

        Nothing, if the server does that itself when it finds the folder empty.
        """

    @abstractmethod
    def prepare(self) -> None:
        """Do what has to be done once, before the server's first start on its data."""

    @abstractmethod
    def command(self, port: int) -> list[str | Path]:
        """Return the command that runs the server on the data of `home`."""

    @abstractmethod
    def is_ready(self, pid: int) -> bool:
        """Whether the server that runs as `pid` accepts connections."""

    def start(self) -> dict[str, str | int]:
        """Start the server, or start it again on its port, and return the answer to the parent."""
        try:
            if not self._port:
                self._take_folder()
            process = self._launch()
        except (LocalServerError, OSError, subprocess.SubprocessError) as error:
            return {"failed": str(error)}
        if self._folder:
            (self._folder / "lock").write_text(f"process {process.pid}, port {self._port}")
        return {"url": self.url(self._port), "pid": process.pid}

    def reap(self) -> None:
        """Let the system forget a server that died."""
        if self._process:
            self._process.poll()

    def close(self) -> None:
        """Stop the server, and remove a throw-away folder."""
        self._stop()
        deadline = time.monotonic() + _STOP_SECONDS
        # More than once: the children of a server that was killed still write for a moment.
        while self._folder is None and self.home.exists() and time.monotonic() < deadline:
            shutil.rmtree(self.home, ignore_errors=True)
            time.sleep(0.02)

    def _take_folder(self) -> None:
        """Take the folder, and see that it has data which the server can reach."""
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self._folder, self.product)
        if account():
            self.home = _reachable_home(self.home, self.prefix)
        if not (self.home / "data").exists():
            self._create()
        self.prepare()

    def _create(self) -> None:
        password, data = self.home / "password", self.home / "data.new"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(16))
        give(data)
        give(password)
        if command := self.creation(data):
            self._complete(command)
        data.rename(self.home / "data")  # last: who is interrupted leaves no half of a server

    def _complete(self, command: list[str | Path]) -> None:
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=2 * START_SECONDS,
            **self._surroundings(),
        )
        if done.returncode != 0:
            program = Path(command[0]).name
            raise LocalServerError(f"{program} failed in {self.home}:\n{_last_lines(done.stderr)}")

    def _launch(self) -> "subprocess.Popen[bytes]":
        """Run the server until it is ready, again if what kept it from that passes by itself."""
        self._stop()
        deadline = time.monotonic() + _RETRY_SECONDS
        while True:
            port = self._port or _free_port()
            process = self._process = self._spawn(self.command(port))
            if self._becomes_ready(process):
                self._port = port
                return process
            self._stop()
            log = self.log()
            if not any(text in log for text in self.transient) or time.monotonic() > deadline:
                raise LocalServerError(f"{self.product} did not start:\n{_last_lines(log)}")
            time.sleep(0.1)

    def log(self) -> str:
        """Return what the server has said since its last start."""
        return (self.home / "log").read_text(errors="replace")

    def _spawn(self, command: list[str | Path]) -> "subprocess.Popen[bytes]":
        with (self.home / "log").open("ab") as log:
            log.truncate(0)
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                # The server holds the lock too: it stays taken until the last of us has ended.
                pass_fds=() if self._lock is None else (self._lock,),
                preexec_fn=_end_with_parent(self.farewells[0]),
                **self._surroundings(),
            )

    def _surroundings(self) -> dict[str, Any]:
        # LC_ALL: `transient` reads English, and on macOS servers refuse to run without a locale.
        environment = {**os.environ, "LC_ALL": "C"}
        return {"stdin": subprocess.DEVNULL, "cwd": self.home, "env": environment, **account()}

    def _becomes_ready(self, process: "subprocess.Popen[bytes]") -> bool:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError):
                if self.is_ready(process.pid):
                    return True
            time.sleep(0.01)
        return False

    def _stop(self) -> None:
        """Shut the server down, less and less politely; at last by force."""
        if self._process is None or self._process.poll() is not None:
            return
        for number in self.farewells if sys.platform != "win32" else ():
            self._process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
                return
        self._process.kill()
        self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-10:])


def _lock(folder: Path, product: str) -> int | None:
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
        f"A {product} is already running in {folder} ({server}): stop it or use another folder."
    )


def _end_with_parent(farewell: int) -> Callable[[], object] | None:
    """Return what a child runs for Linux to shut it down when we are gone, even by SIGKILL."""
    if sys.platform != "linux":
        return None
    set_death_signal = 1  # PR_SET_PDEATHSIG, see prctl(2)
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = [ctypes.c_int, ctypes.c_ulong]
    return lambda: prctl(set_death_signal, farewell)


# --- Root only: a server that runs as `nobody`, and what is within its reach ----------------------


def account() -> dict[str, Any]:
    """Return what makes a child process `nobody`'s if we are root, else nothing."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def give(path: Path) -> None:
    """Make the path the server's, if that is not who we are."""
    if owner := account():
        shutil.chown(path, owner["user"], owner["group"])


def is_reachable(path: Path) -> bool:
    """Whether `nobody` gets to the path."""
    steps = (path, *path.parents, *path.resolve().parents)
    return all(step.stat().st_mode & stat.S_IXOTH for step in steps)


def temporary_folder() -> Path:
    """Return the folder for temporary files, within the server's reach."""
    folder = Path(tempfile.gettempdir())
    return folder if not account() or is_reachable(folder) else Path("/tmp")  # noqa: S108


def _new_folder(parent: Path, prefix: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    if account():
        folder.chmod(0o711)
    return folder


def _reachable_home(folder: Path, prefix: str) -> Path:
    """Return the folder, or the place in /var/tmp that stands in for it.

    That one's name has a hash of the folder's path, so that a copy of the folder gets a server of
    its own, and a random part, so that the data does not come back after the folder was deleted.
    """
    note = folder / "LOCATION"
    prefix = f"{prefix}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}-"
    if note.exists():
        home = Path(note.read_text().strip())
        if home.name.startswith(prefix) and home.is_dir():
            return home
    if is_reachable(folder):
        return folder
    home = _new_folder(Path("/var/tmp"), prefix)  # noqa: S108 - mkdtemp makes it ours
    note.write_text(f"{home}\n")
    return home
