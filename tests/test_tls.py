"""URLs as hosting providers issue them, on PostgreSQL and MariaDB servers with TLS.

PostgreSQL's wheel has no TLS, so PgBouncer in session mode provides it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.local_mariadb import LocalMariaDB

from tests.pooler import DIRECT, Neon, PgBouncer, issue_certificate, neon
from tests.workshop import Workshop, environment_of

pytestmark = pytest.mark.run

TRIAL = Path(__file__).with_name("tls_trial.py")

# The parameters that a project sends when it connects, which PgBouncer rejects otherwise.
ACCEPTING = """\
ignore_startup_parameters = options,statement_timeout,idle_in_transaction_session_timeout
"""


@pytest.fixture
def folder(workshop: Workshop) -> Iterator[Path]:
    """Return a folder that the servers can read, with a certificate for `localhost`."""
    created = workshop.new_folder("tls")
    issue_certificate(created)
    yield created
    shutil.rmtree(created)


@pytest.fixture
def behind_tls(folder: Path) -> Iterator[tuple[Neon, PgBouncer]]:
    """Run PostgreSQL, and PgBouncer with TLS that accepts the parameters of a project."""
    with neon(folder) as running:
        proxy = PgBouncer(running.server.url, folder, DIRECT + ACCEPTING)
        proxy.start()
        try:
            yield running, proxy
        finally:
            proxy.stop()


def test_postgresql_is_encrypted_and_verified_as_the_url_says(
    behind_tls: tuple[Neon, PgBouncer], folder: Path, workshop: Workshop, python: Path
) -> None:
    running, proxy = behind_tls
    url = proxy.url.partition("?")[0]
    address = url.replace("localhost", "127.0.0.1")
    authority = f"sslrootcert={folder / 'authority.pem'}"
    project = workshop.render(database="postgresql", sessions="both")
    expected = {
        url: "TLS",
        f"{url}?sslmode=require&application_name=app&options=-c%20geqo%3Doff": "TLS",
        f"{url}?connect_timeout=9": "TLS",
        f"{url}?sslmode=require&channel_binding=require&{authority}": "TLS",
        f"{url}?sslmode=verify-full&{authority}": "TLS",
        f"{address}?sslmode=verify-ca&{authority}": "TLS",
        f"{address}?sslmode=verify-full&{authority}": ".*(not valid for|not match host name).*",
        f"{url}?sslmode=verify-full": ".*certificate verify failed.*",
        f"{url}?sslmode=require&channel_binding=require": ".*certificate verify failed.*",
        f"{url}?sslmode=disable": ".*SSL required",
        f"{running.server.url}?sslmode=require": ".*(rejected SSL upgrade|does not support SSL).*",
        running.direct.url: ".* PgBouncer, which rejects the timeouts of sessions.*",
    }
    connect(expected, project, python)


def test_mariadb_is_encrypted_and_verified_as_the_url_says(
    folder: Path, workshop: Workshop, python: Path
) -> None:
    files = {"ssl-cert": folder / "certificate.pem", "ssl-key": folder / "key.pem"}
    for file in files.values():
        file.chmod(0o644)
    project = workshop.render(database="mysql", sessions="both")
    authority = f"ssl-ca={folder / 'authority.pem'}"
    with (
        LocalMariaDB(settings={name: str(file) for name, file in files.items()}) as server,
        LocalMariaDB(settings={"skip-ssl": "1"}) as bare,
    ):
        address = server.url
        url = address.replace("127.0.0.1", "localhost")
        expected = {
            f"{url}?ssl-mode=REQUIRED": "TLS",
            f"{url}?ssl-mode=PREFERRED&charset=utf8mb4": "TLS",
            f"{url}?ssl-mode=DISABLED": "plain",
            f"{url}?ssl-mode=VERIFY_IDENTITY&{authority}": "TLS",
            f"{url}?sslaccept=strict&{authority}": "TLS",
            f"{address}?{authority}": "TLS",
            f"{address}?ssl-mode=VERIFY_IDENTITY&{authority}": "Can't connect.*",
            f"{url}?sslaccept=strict": "Can't connect.*",
            f"{url}?ssl_mode=verify_ca": "Can't connect.*",
            f"{bare.url}?ssl-mode=PREFERRED": "plain",
            f"{bare.url}?ssl-mode=REQUIRED": ".*(does not|doesn't) support.*",
        }
        connect(expected, project, python)


def connect(expected: dict[str, str], project: Path, python: Path) -> None:
    """Connect to each URL with async and sync sessions; errors must match the expected pattern."""
    done = subprocess.run(
        [python, "-W", "error", TRIAL, *expected],
        cwd=project,
        env={**environment_of(python, project), "HOME": os.devnull},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode != 0:
        pytest.fail(done.stderr[-6000:], pytrace=False)
    for url, results in zip(expected, json.loads(done.stdout), strict=True):
        for result in results:
            assert re.fullmatch(expected[url], result), f"{url.partition('@')[2]}: {result}"
