"""A private MariaDB server for development and for the project's tests.

    with LocalMariaDB() as server:  # temporary: fast, and removed afterwards
        engine = create_async_engine(server.url)

MariaDB must be installed on the system, as no wheel contains it. The server ignores the system's
configuration and does not affect a server that the system runs.
"""

import os
import shutil
import signal
from pathlib import Path

from .local_server import LocalServer, LocalServerError, ServerProcess, give_to_server

USER = "local"

_SETTINGS = {
    "character-set-server": "utf8mb4",
    "default-time-zone": "+00:00",
    "innodb-buffer-pool-size": "32M",
    "innodb-log-file-size": "16M",
    # Files grow by 1 MB at a time, not by 64 MB.
    "innodb-autoextend-increment": "1",
    "innodb-buffer-pool-dump-at-shutdown": "OFF",
    "innodb-buffer-pool-load-at-startup": "OFF",
}
# A commit is written, so that it survives a crash of the server, but not synced to disk.
_NOT_DURABLE = {
    "innodb-flush-log-at-trx-commit": "2",
    "loose-innodb-flush-method": "nosync",
    "innodb-doublewrite": "OFF",
}

_PROGRAMS = ("mariadbd", "mariadb-install-db", "my_print_defaults")
# Folders of server programs, which are often not in PATH.
_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec")


class _Process(ServerProcess):
    product, prefix = "MariaDB", "mariadb"
    stop_signals = (signal.SIGTERM,)
    transient = ("Address already in use", "Unable to lock", "Can't lock aria control file")

    def url(self, port: int) -> str:
        return f"mariadb://{USER}:{self.password}@127.0.0.1:{port}/mysql"

    def creation(self, data: Path) -> list[str | Path]:
        # root can connect only through the socket, and only as the system's root user.
        options = ["--auth-root-authentication-method=socket", "--skip-test-db"]
        return [self.programs["mariadb-install-db"], *self._options(data), *options]

    def prepare(self) -> None:
        """Write the SQL that creates the only TCP user, with all privileges."""
        file, user = self.home / "users.sql", f"'{USER}'@'127.0.0.1'"
        file.touch(mode=0o600)
        file.write_text(
            f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION;\n"
        )
        give_to_server(file)

    def command(self, port: int) -> list[str | Path]:
        options = [f"--port={port}", "--bind-address=127.0.0.1", "--pid-file=pid"]
        # A relative path, in the data folder: a socket's path is limited to 107 characters.
        options += ["--socket=socket", f"--init-file={self.home / 'users.sql'}"]
        return [self.programs["mariadbd"], *self._options(self.home / "data"), *options]

    def is_ready(self, pid: int) -> bool:
        return "ready for connections" in self.log()

    def _options(self, data: Path) -> list[str]:
        settings = {**_SETTINGS, **({} if self.durable else _NOT_DURABLE), **self.settings}
        options = ["--no-defaults", f"--datadir={data}", "--tmpdir=.", "--skip-name-resolve"]
        return [*options, *(f"--{name}={value}" for name, value in settings.items())]


class LocalMariaDB(LocalServer):
    """A MariaDB server on 127.0.0.1; settings are options, as in `{"general-log": "ON"}`."""

    process = _Process

    @staticmethod
    def find_programs() -> dict[str, str]:
        """Return the paths of MariaDB's programs.

        Raises LocalServerError if a program is missing.
        """
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_FOLDERS])
        found = {name: shutil.which(name, path=path) for name in _PROGRAMS}
        programs = {name: program for name, program in found.items() if program}
        if len(programs) < len(_PROGRAMS):
            raise LocalServerError(
                "MariaDB is not installed: install it (`apt-get install "
                "--no-install-recommends mariadb-server-core mariadb-client-core` or `brew install "
                "mariadb`), or set TEST_DATABASE_URL (tests) or DATABASE_URL (application) to an "
                "existing server."
            )
        return programs
