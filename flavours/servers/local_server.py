"""What all private servers share: finding, starting, restarting and reliably stopping them.

A supervisor, a process in a separate session, runs the server. Your process cannot clean up after
its own SIGKILL, so the supervisor watches a pipe from it: however your process ends, the supervisor
shuts the server down and removes a temporary folder. If the supervisor itself is killed, that
folder stays, and only Linux shuts the server down.

A persistent folder holds `data`, `password`, `log` (of the last start) and `lock`. To start over,
stop the server and delete the folder.

If you are root, the server runs as the user `nobody`. If that user cannot access a persistent
folder, such as one below /root, the data is in a folder in /var/tmp, whose path is in the file
`LOCATION`. Delete both together. Some systems delete files in /var/tmp after a month without use.

On Windows, which is untested, the server is terminated instead of shut down, and recovers at its
next start.
"""

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
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Self

START_SECONDS = 30.0
_RETRY_SECONDS = 5.0
_STOP_SECONDS = 5.0

# The folder of the package comes last, so that it shadows no other module.
_SUPERVISOR = f"""
import importlib, sys
sys.path.append({str(Path(__file__).resolve().parents[__name__.count(".")])!r})
importlib.import_module({__name__!r}).supervise(*sys.argv[1:])
"""


class LocalServerError(Exception):
    """The local server cannot be found, started or reached; the message gives the reason."""


class LocalServer(ABC):
    """A server on 127.0.0.1 that stops when this process ends.

    Args:
        folder: Keeps the data between runs, and commits that survive a power failure. By default,
            a temporary folder, removed on stop.
        settings: Server settings by name; they override the defaults.
        keeps_running: Whether the server is restarted if it ends by itself.
    """

    process: ClassVar[type["ServerProcess"]]

    def __init__(
        self,
        folder: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        keeps_running: bool = False,
    ) -> None:
        """Configure the server; `start` starts it."""
        self._config = {
            "folder": str(folder.resolve()) if folder else None,
            "settings": dict(settings or {}),
            "keeps_running": keeps_running,
        }
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._url, self._pid = "", 0

    @staticmethod
    @abstractmethod
    def find_programs() -> dict[str, str]:
        """Return the paths of the server's programs, by name.

        Raises LocalServerError if a program is missing; the message says how to install it.
        """

    @property
    def url(self) -> str:
        """The administrator's URL, with password. Raises LocalServerError before `start`."""
        self._started()
        return self._url

    @property
    def pid(self) -> int:
        """The server's process id, for fault tests. Raises LocalServerError before `start`."""
        self._started()
        return self._pid

    def start(self) -> Self:
        """Start the server and wait until it accepts connections: about a second for a new one.

        Raises LocalServerError if its programs are missing, if it does not start, or if a server is
        already running in the folder.
        """
        if self._supervisor is not None:
            raise LocalServerError(
                f"This {type(self).__name__} is already started; call stop() first."
            )
        config = json.dumps({"programs": self.find_programs(), **self._config})
        spec = sys.modules[type(self).__module__].__spec__
        assert spec
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-c", _SUPERVISOR, spec.name, type(self).__name__, config],
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
        """Restart the server on the same port and data, after a crash or to disconnect all clients.

        Raises LocalServerError if it does not start.
        """
        supervisor = self._started()
        assert supervisor.stdin
        assert supervisor.stdout
        with suppress(OSError):  # if the supervisor has ended, there is no response
            supervisor.stdin.write(b"start\n")
        line = supervisor.stdout.readline()
        if not line:
            raise LocalServerError(
                f"The supervisor of the local {self.process.product} ended unexpectedly."
            )
        response = json.loads(line)
        if "failed" in response:
            raise LocalServerError(response["failed"])
        self._url, self._pid = response["url"], response["pid"]

    def stop(self) -> None:
        """Stop the server and wait until it has ended; do nothing if it is not started."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is None:
            return
        try:
            # Closing the pipe is not enough: a forked child of this process may hold it open.
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


# --- The supervisor's process ---------------------------------------------------------------------


def supervise(module: str, kind: str, config: str) -> None:
    """Run the parent's commands until it sends `stop` or ends.

    The response to `start` is a line of JSON, `{"url": ..., "pid": ...}` or `{"failed": ...}`.
    """
    parent = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    for name in ("SIGINT", "SIGHUP"):  # at Ctrl-C, the application drains its connections first
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    server: ServerProcess = getattr(importlib.import_module(module), kind).process(
        **json.loads(config)
    )
    try:
        for command in _commands(parent):
            if command == "stop":
                break
            if command == "start":
                with suppress(BrokenPipeError):  # the parent has ended, and so will _commands
                    os.write(1, json.dumps(server.start()).encode() + b"\n")
            else:
                server.watch()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server.close()


def _commands(parent: int) -> Iterator[str]:
    """Yield the parent's commands, and "" twice a second, until the parent has ended.

    The pipe is then closed, unless a forked child of the parent holds it open: so check whether our
    parent has changed as well.
    """
    stdin = io.FileIO(0, closefd=False)  # unbuffered: select() does not see a buffer
    while os.getppid() == parent:
        if sys.platform != "win32" and not select.select([stdin], [], [], 0.5)[0]:
            yield ""
            continue
        line = stdin.readline()
        if not line:
            return
        yield line.decode().strip()


class ServerProcess(ABC):
    """The server's process and its working folder; the product-specific part is abstract.

    `home` contains `data`, `password` and `log`: it is the given folder or its substitute.
    """

    product: ClassVar[str]
    prefix: ClassVar[str]  # of folder names
    # Stop the server, the gentlest first; Linux sends that one if the supervisor is killed.
    stop_signals: ClassVar[tuple[signal.Signals, ...]]
    # Messages in the log of a start that is worth retrying: the chosen port was taken meanwhile, or
    # child processes of a killed server are still running.
    transient: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        programs: dict[str, str],
        folder: str | None,
        settings: Mapping[str, str],
        keeps_running: bool = False,
    ) -> None:
        self.programs = {name: Path(path) for name, path in programs.items()}
        self.settings = settings
        self.durable = folder is not None
        self._keeps_running = keeps_running
        self._folder = Path(folder) if folder else None
        self.home = self._folder or _new_folder(temporary_folder(), f"{self.prefix}-")
        self._lock: int | None = None
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def password(self) -> str:
        """The administrator's password, which is generated with the data."""
        return (self.home / "password").read_text()

    @abstractmethod
    def url(self, port: int) -> str:
        """Return the administrator's URL."""

    def creation(self, data: Path) -> list[str | Path]:
        """Return the command that creates the data of a new server in the empty folder `data`.

        By default, the server creates its data when it starts.
        """
        return []

    def prepare(self) -> None:
        """Prepare the data before the supervisor first starts the server."""
        return

    @abstractmethod
    def command(self, port: int) -> list[str | Path]:
        """Return the command that runs the server on the data of `home`."""

    @abstractmethod
    def is_ready(self, pid: int) -> bool:
        """Whether the server process `pid` accepts connections."""

    def start(self) -> dict[str, str | int]:
        """Start the server, or restart it on its port, and return the response to the parent."""
        try:
            if not self._port:
                self._prepare_folder()
            process = self._launch()
        except (LocalServerError, OSError, subprocess.SubprocessError) as error:
            return {"failed": str(error)}
        if self._folder:
            (self._folder / "lock").write_text(f"process {process.pid}, port {self._port}")
        return {"url": self.url(self._port), "pid": process.pid}

    def watch(self) -> None:
        """Reap the process of a server that has ended, and restart it if it has to keep running."""
        if self._process and self._process.poll() is not None and self._keeps_running:
            print(f"{self.product} has stopped. Restarting it.", file=sys.stderr)
            if failed := self.start().get("failed"):
                print(failed, file=sys.stderr)
                self._keeps_running = False

    def close(self) -> None:
        """Stop the server, and remove a temporary folder."""
        self._stop()
        deadline = time.monotonic() + _STOP_SECONDS
        # Repeatedly: child processes of a killed server may still be writing.
        while self._folder is None and self.home.exists() and time.monotonic() < deadline:
            shutil.rmtree(self.home, ignore_errors=True)
            time.sleep(0.02)

    def _prepare_folder(self) -> None:
        """Lock the folder, and create data in it that the server can access, if there is none."""
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
        give_to_server(data)
        give_to_server(password)
        if command := self.creation(data):
            self._run_creation(command)
        data.rename(self.home / "data")  # last, so that an interrupted run leaves no partial data

    def _run_creation(self, command: list[str | Path]) -> None:
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=2 * START_SECONDS,
            **self._process_options(),
        )
        if done.returncode != 0:
            program = Path(command[0]).name
            raise LocalServerError(f"{program} failed in {self.home}:\n{_last_lines(done.stderr)}")

    def _launch(self) -> "subprocess.Popen[bytes]":
        """Start the server, wait until it is ready, and retry transient failures."""
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
        """Return the server's log since its last start."""
        return (self.home / "log").read_text(errors="replace")

    def _spawn(self, command: list[str | Path]) -> "subprocess.Popen[bytes]":
        with (self.home / "log").open("ab") as log:
            log.truncate(0)
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                # The server inherits the lock, and holds it even if the supervisor is killed.
                pass_fds=() if self._lock is None else (self._lock,),
                preexec_fn=_stop_with_parent(self.stop_signals[0]),
                **self._process_options(),
            )

    def _process_options(self) -> dict[str, Any]:
        # LC_ALL: the messages in `transient` are English, and macOS servers need a locale.
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
        """Stop the server with each of its signals, then kill it."""
        if self._process is None or self._process.poll() is not None:
            return
        for number in self.stop_signals if sys.platform != "win32" else ():
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
    """Lock the folder until we and the server end; LocalServerError if it is in use."""
    if sys.platform == "win32":
        return None
    import fcntl

    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    # Wait first: the last supervisor may have been killed while its server still shuts down.
    deadline = time.monotonic() + _RETRY_SECONDS / 2
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            return lock
        time.sleep(0.05)
    server = os.read(lock, 100).decode() or "starting"
    raise LocalServerError(
        f"A {product} is already running in {folder} ({server}): stop it, or use another folder."
    )


def _stop_with_parent(stop_signal: int) -> Callable[[], object] | None:
    """Return the `preexec_fn` that makes Linux send the signal to the child when we end."""
    if sys.platform != "linux":
        return None
    set_death_signal = 1  # PR_SET_PDEATHSIG, see prctl(2)
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = [ctypes.c_int, ctypes.c_ulong]
    return lambda: prctl(set_death_signal, stop_signal)


# --- Root only: the user that the server runs as, and its access to files -------------------------


def account() -> dict[str, Any]:
    """Return the Popen options that run a child as an unprivileged user, if we are root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd

    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def give_to_server(path: Path) -> None:
    """Change the owner of the path to the server's user, if that is not ours."""
    if owner := account():
        shutil.chown(path, owner["user"], owner["group"])


def is_reachable(path: Path) -> bool:
    """Whether the server's user can access the path."""
    steps = (path, *path.parents, *path.resolve().parents)
    return all(step.stat().st_mode & stat.S_IXOTH for step in steps)


def temporary_folder() -> Path:
    """Return a folder for temporary files that the server's user can access."""
    folder = Path(tempfile.gettempdir())
    return folder if not account() or is_reachable(folder) else Path("/tmp")  # noqa: S108


def _new_folder(parent: Path, prefix: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    if account():
        folder.chmod(0o711)
    return folder


def _reachable_home(folder: Path, prefix: str) -> Path:
    """Return the folder, or its substitute in /var/tmp if the server's user cannot access it.

    The substitute's name contains a hash of the folder's path, so that a copied folder gets its own
    data, and a random part, so that a folder that was deleted and created again starts empty.
    """
    note = folder / "LOCATION"
    prefix = f"{prefix}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}-"
    if note.exists():
        home = Path(note.read_text().strip())
        if home.name.startswith(prefix) and home.is_dir():
            return home
    if is_reachable(folder):
        return folder
    home = _new_folder(Path("/var/tmp"), prefix)  # noqa: S108 - mkdtemp makes it private
    note.write_text(f"{home}\n")
    return home
