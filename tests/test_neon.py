"""A Neon project under Neon's conditions: TLS, a pooler, and a server that suspends."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.pooler import Neon, issue_certificate, neon
from tests.test_run import ALL_PASSED
from tests.workshop import Workshop

pytestmark = pytest.mark.run

TRIAL = Path(__file__).with_name("neon_trial.py")

# In the form that Neon's console shows.
PASTED = (
    "postgresql://alex:hunter2@ep-cool-sky-123456-pooler.eu-central-1.aws.neon.tech/neondb"
    "?sslmode=require&channel_binding=require"
)
DIRECT_HOST = "ep-cool-sky-123456.eu-central-1.aws.neon.tech"


@pytest.fixture(scope="module")
def running(workshop: Workshop) -> Iterator[Neon]:
    """PostgreSQL with a pooled and a direct URL. Without PgBouncer, every test fails."""
    folder = workshop.new_folder("neon")
    try:
        with neon(folder) as started:
            yield started
    finally:
        shutil.rmtree(folder)


class Trial:
    """A project with the default model, and a database with two URLs."""

    def __init__(self, running: Neon, workshop: Workshop, python: Path, project: Path) -> None:
        self.running = running
        self.python = python
        self.project = project
        self.bytecode = workshop.shared_folder("bytecode")
        self.name = f"trial_{secrets.token_hex(8)}"
        self.pooled = running.pooled.url.replace("/postgres?", f"/{self.name}?")
        self.direct = running.direct.url.replace("/postgres?", f"/{self.name}?")

    def migrated(self) -> Trial:
        """Create the database and its tables, and return the trial."""
        self.run(TRIAL, "create", self.running.direct.url, self.name)
        urls = {"DATABASE_URL": self.pooled, "DATABASE_URL_UNPOOLED": self.direct}
        self.run("-m", "acme.cli", "db", "upgrade", **urls)
        return self

    def run_scenario(self, scenario: str, pooled: str | None = None) -> str:
        return self.run(TRIAL, scenario, pooled or self.pooled, self.direct)

    def run(self, *arguments: str | Path, **variables: str) -> str:
        """Run the project's Python and return its output; fail the test if it fails."""
        done = self.attempt(*arguments, **variables)
        if done.returncode != 0:
            pytest.fail((done.stdout + done.stderr)[-6000:], pytrace=False)
        return done.stdout

    def attempt(self, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, "-W", "error", *arguments],
            cwd=self.project,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )

    def start(self, scenario: str) -> subprocess.Popen[str]:
        """Start a scenario that lasts until its standard input ends."""
        return subprocess.Popen(
            [self.python, "-W", "error", TRIAL, scenario, self.pooled, self.direct],
            cwd=self.project,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def environment(self, **variables: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.project / "src"),
            "PYTHONPYCACHEPREFIX": str(self.bytecode),
            "LANG": "C.UTF-8",
            **variables,
        }


@pytest.fixture
def trial(running: Neon, workshop: Workshop, python: Path) -> Trial:
    return Trial(running, workshop, python, workshop.render(database="neon", sessions="both"))


# ---- The pooler


def test_fifty_tasks_share_five_connections(trial: Trial) -> None:
    assert trial.migrated().run_scenario("share") == ""


def test_a_slow_statement_is_also_stopped_on_the_server(trial: Trial) -> None:
    assert trial.migrated().run_scenario("limit") == ""


def test_a_cancelled_statement_is_also_stopped_on_the_server(trial: Trial) -> None:
    assert trial.migrated().run_scenario("stop") == ""


def test_nothing_is_lost_when_the_pooler_is_restarted(trial: Trial) -> None:
    def restart() -> None:
        for _ in range(3):
            time.sleep(1)
            trial.running.pooled.restart()

    assert survives(trial.migrated(), restart)


def test_nothing_is_lost_when_pooled_connections_are_terminated(trial: Trial) -> None:
    assert survives(trial.migrated(), lambda: trial.run_scenario("kill"))


def survives(trial: Trial, fault: Callable[[], object]) -> bool:
    """Whether tasks that count during a fault continue and lose no acknowledged commit."""
    with trial.start("survive") as counting:
        assert counting.stdin
        assert counting.stdout
        try:
            assert counting.stdout.readline() == "ready\n"
            fault()
            time.sleep(1)
        finally:
            output, _ = counting.communicate(timeout=60)
    assert counting.returncode == 0, output
    acknowledged, failed = map(int, output.split())
    return acknowledged > 0 and failed > 0


# ---- TLS


def test_a_certificate_of_another_authority_is_rejected(trial: Trial, tmp_path: Path) -> None:
    issue_certificate(tmp_path)
    ours = trial.running.folder / "authority.pem"
    for authority in (str(tmp_path / "authority.pem"), "system"):
        output = trial.run_scenario(
            "reject", trial.running.pooled.url.replace(str(ours), authority)
        )
        assert output.count("certificate verify failed") == 4


def test_a_certificate_for_another_host_is_rejected(trial: Trial) -> None:
    output = trial.run_scenario(
        "reject", trial.running.pooled.url.replace("@localhost:", "@127.0.0.1:")
    )
    assert output.count("not valid for '127.0.0.1'") == 2
    assert output.count('does not match host name "127.0.0.1"') == 2


def test_a_server_without_tls_is_rejected(trial: Trial) -> None:
    port, bare = (
        urlsplit(url).port for url in (trial.running.pooled.url, trial.running.server.url)
    )
    output = trial.run_scenario(
        "reject", trial.running.pooled.url.replace(f":{port}/", f":{bare}/")
    )
    assert output.count("rejected SSL upgrade") == 2
    assert output.count("server does not support SSL") == 2


# ---- A suspended server


def test_a_server_that_accepts_the_third_attempt_is_waited_for(trial: Trial) -> None:
    assert trial.migrated().run_scenario("wake") == ""


# ---- Migrations


@pytest.mark.parametrize(
    "command",
    [("-m", "acme.cli", "db", "upgrade"), ("-m", "alembic", "upgrade", "head")],
    ids=["acme", "alembic"],
)
def test_migrations_reject_the_url_of_the_pooler(trial: Trial, command: tuple[str, ...]) -> None:
    rejected = trial.attempt(*command, DATABASE_URL=PASTED)
    assert rejected.returncode == 1
    assert rejected.stderr.rstrip().endswith(
        "DATABASE_URL points to Neon's pooler, and migrations need a direct connection: "
        f"set DATABASE_URL_UNPOOLED to the direct URL, whose host is {DIRECT_HOST}."
    )
    assert "hunter2" not in rejected.stdout + rejected.stderr


# ---- Everything else


@pytest.mark.parametrize("route", ["pooled", "direct"])
def test_a_project_passes_its_own_tests_on_both_urls(
    route: str, running: Neon, workshop: Workshop, python: Path
) -> None:
    folder = workshop.new_folder("neon-run")
    project = folder / "project"
    shutil.copytree(workshop.render(database="neon"), project)
    url = running.pooled.url if route == "pooled" else running.direct.url
    done = Trial(running, workshop, python, project).attempt(
        *("-m", "pytest", "--tb=short"), TEST_DATABASE_URL=url, TMPDIR=str(folder)
    )
    output = (done.stdout + done.stderr).rstrip()
    if done.returncode != 0 or not ALL_PASSED.fullmatch(done.stdout.rstrip().splitlines()[-1]):
        pytest.fail(output[-6000:], pytrace=False)
    shutil.rmtree(folder)


def test_sync_sessions_pass_their_own_tests_through_the_pooler(trial: Trial) -> None:
    files = [f"tests/data_layer/test_{name}.py" for name in ("sync_database", "neon")]
    trial.run("-m", "pytest", "--tb=short", *files, TEST_DATABASE_URL=trial.running.pooled.url)
