"""A private MariaDB for development and for this project's own tests.

    with LocalMariaDB() as server:  # throw-away: fast, and gone afterwards
        engine = create_async_engine(server.url)

`python -m {{ package }}.development.local_mariadb [FOLDER]` runs one until Ctrl-C; with a folder, its data stays there.

No wheel brings MariaDB: its programs have to be installed. Nothing of the system's configuration is
read, and a server that the system runs is left alone.
"""

import os
import shutil
import signal
from pathlib import Path

from .local_server import LocalServer, LocalServerError, ServerProcess, give, run

USER = "local"

_SETTINGS = {
    "character-set-server": "utf8mb4",
    "default-time-zone": "+00:00",
    "innodb-buffer-pool-size": "32M",
    "innodb-log-file-size": "16M",
    # Files grow by a megabyte, not by 64.
    "innodb-autoextend-increment": "1",
    "innodb-buffer-pool-dump-at-shutdown": "OFF",
    "innodb-buffer-pool-load-at-startup": "OFF",
}
# Written at each commit, which survives a crash of the server, and left to the system from there.
_NOT_DURABLE = {
    "innodb-flush-log-at-trx-commit": "2",
    "loose-innodb-flush-method": "nosync",
    "innodb-doublewrite": "OFF",
}

_PROGRAMS = ("mariadbd", "mariadb-install-db", "my_print_defaults")
# Where systems keep what is not for everybody's PATH.
_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec")


class _Process(ServerProcess):
    product, prefix = "MariaDB", "mariadb"
    farewells = (signal.SIGTERM,)
    transient = ("Address already in use", "Unable to lock", "Can't lock aria control file")

    def url(self, port: int) -> str:
        return f"mariadb://{USER}:{self.password}@127.0.0.1:{port}/mysql"

    def creation(self, data: Path) -> list[str | Path]:
        # root may come by the socket alone, and only whom the system knows as root.
        options = ["--auth-root-authentication-method=socket", "--skip-test-db"]
        return [self.programs["mariadb-install-db"], *self._options(data), *options]

    def prepare(self) -> None:
        """Say who may come by TCP: one user, who may do everything."""
        file, user = self.home / "users.sql", f"'{USER}'@'127.0.0.1'"
        file.touch(mode=0o600)
        file.write_text(
            f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION;\n"
        )
        give(file)

    def command(self, port: int) -> list[str | Path]:
        options = [f"--port={port}", "--bind-address=127.0.0.1", "--pid-file=pid"]
        # Below the data, by a short name: a socket's path is limited to 107 characters.
        options += ["--socket=socket", f"--init-file={self.home / 'users.sql'}"]
        return [self.programs["mariadbd"], *self._options(self.home / "data"), *options]

    def is_ready(self, pid: int) -> bool:
        return "ready for connections" in self.log()

    def _options(self, data: Path) -> list[str]:
        settings = {**_SETTINGS, **({} if self.durable else _NOT_DURABLE), **self.settings}
        options = ["--no-defaults", f"--datadir={data}", "--tmpdir=.", "--skip-name-resolve"]
        return [*options, *(f"--{name}={value}" for name, value in settings.items())]


class LocalMariaDB(LocalServer):
    """One MariaDB on 127.0.0.1; settings are as in `{"general-log": "ON"}`."""

    process = _Process

    @staticmethod
    def find_programs() -> dict[str, str]:
        """Return where MariaDB's programs are.

        Raises LocalServerError if one of them is nowhere.
        """
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_FOLDERS])
        found = {name: shutil.which(name, path=path) for name in _PROGRAMS}
        programs = {name: program for name, program in found.items() if program}
        if len(programs) < len(_PROGRAMS):
            raise LocalServerError(
                "No MariaDB on this machine: install one (`apt-get install "
                "--no-install-recommends mariadb-server-core mariadb-client-core` or `brew install "
                "mariadb`), or set TEST_DATABASE_URL (tests) or DATABASE_URL (application) to a "
                "server that you have."
            )
        return programs


if __name__ == "__main__":
    run(LocalMariaDB, "local_mariadb")
