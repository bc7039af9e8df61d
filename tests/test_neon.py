"""A project at Neon, on what it meets there: TLS, a pooler, and a server that falls asleep."""

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

# As Neon hands it out.
PASTED = (
    "postgresql://alex:hunter2@ep-cool-sky-123456-pooler.eu-central-1.aws.neon.tech/neondb"
    "?sslmode=require&channel_binding=require"
)
DIRECT_HOST = "ep-cool-sky-123456.eu-central-1.aws.neon.tech"


@pytest.fixture(scope="module")
def running(workshop: Workshop) -> Iterator[Neon]:
    """PostgreSQL, and the two ways to it; without PgBouncer every test fails and says so."""
    folder = workshop.room("neon")
    try:
        with neon(folder) as started:
            yield started
    finally:
        shutil.rmtree(folder)


class Trial:
    """A project with the default model, and a database at the end of two URLs."""

    def __init__(self, running: Neon, workshop: Workshop, python: Path, project: Path) -> None:
        self.running = running
        self.python = python
        self.project = project
        self.bytecode = workshop.drawer("bytecode")
        self.name = f"trial_{secrets.token_hex(8)}"
        self.pooled = running.pooled.url.replace("/postgres?", f"/{self.name}?")
        self.direct = running.direct.url.replace("/postgres?", f"/{self.name}?")

    def migrated(self) -> Trial:
        """The same, with tables in the database."""
        self.run(TRIAL, "create", self.running.direct.url, self.name)
        urls = {"DATABASE_URL": self.pooled, "DATABASE_URL_UNPOOLED": self.direct}
        self.run("-m", "acme.cli", "db", "upgrade", **urls)
        return self

    def tried(self, what: str, pooled: str | None = None) -> str:
        return self.run(TRIAL, what, pooled or self.pooled, self.direct)

    def run(self, *arguments: str | Path, **variables: str) -> str:
        """What the project's Python prints, if that ends well."""
        done = self.attempt(*arguments, **variables)
        if done.returncode != 0:
            pytest.fail((done.stdout + done.stderr)[-6000:], pytrace=False)
        return done.stdout

    def attempt(self, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, "-W", "error", *arguments],
            cwd=self.project,
            env=self.surroundings(**variables),
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )

    def start(self, what: str) -> subprocess.Popen[str]:
        """Begin to try what lasts until its input ends."""
        return subprocess.Popen(
            [self.python, "-W", "error", TRIAL, what, self.pooled, self.direct],
            cwd=self.project,
            env=self.surroundings(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def surroundings(self, **variables: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.project / "src"),
            "PYTHONPYCACHEPREFIX": str(self.bytecode),
            "LANG": "C.UTF-8",
            **variables,
        }


@pytest.fixture
def trial(running: Neon, workshop: Workshop, python: Path) -> Trial:
    return Trial(running, workshop, python, workshop.render(database="neon"))


# ---- The pooler


def test_fifty_tasks_share_five_connections(trial: Trial) -> None:
    assert trial.migrated().tried("share") == ""


def test_what_takes_too_long_is_stopped_at_the_server_too(trial: Trial) -> None:
    assert trial.migrated().tried("limit") == ""


def test_what_is_cancelled_is_stopped_at_the_server_too(trial: Trial) -> None:
    assert trial.migrated().tried("stop") == ""


def test_nothing_is_lost_when_the_pooler_is_restarted(trial: Trial) -> None:
    def restart() -> None:
        for _ in range(3):
            time.sleep(1)
            trial.running.pooled.restart()

    assert counted_during(trial.migrated(), restart)


def test_nothing_is_lost_when_its_connections_are_killed(trial: Trial) -> None:
    assert counted_during(trial.migrated(), lambda: trial.tried("kill"))


def counted_during(trial: Trial, fault: Callable[[], object]) -> bool:
    """Whether tasks that count up at the time of a fault went on, and lost nothing."""
    with trial.start("survive") as counting:
        assert counting.stdin
        assert counting.stdout
        try:
            assert counting.stdout.readline() == "ready\n"
            fault()
            time.sleep(1)
        finally:
            said, _ = counting.communicate(timeout=60)
    assert counting.returncode == 0, said
    acknowledged, cut_off = map(int, said.split())
    return acknowledged > 0 and cut_off > 0


# ---- TLS


def test_a_certificate_of_somebody_else_is_refused(trial: Trial, tmp_path: Path) -> None:
    issue_certificate(tmp_path)
    ours = trial.running.folder / "authority.pem"
    for authority in (str(tmp_path / "authority.pem"), "system"):
        said = trial.tried("refuse", trial.running.pooled.url.replace(str(ours), authority))
        assert said.count("certificate verify failed") == 2


def test_a_certificate_for_another_name_is_refused(trial: Trial) -> None:
    said = trial.tried("refuse", trial.running.pooled.url.replace("@localhost:", "@127.0.0.1:"))
    assert said.count("not valid for '127.0.0.1'") == 2


def test_a_server_without_tls_is_refused(trial: Trial) -> None:
    port, bare = (
        urlsplit(url).port for url in (trial.running.pooled.url, trial.running.server.url)
    )
    said = trial.tried("refuse", trial.running.pooled.url.replace(f":{port}/", f":{bare}/"))
    assert said.count("rejected SSL upgrade") == 2


# ---- A server that sleeps


def test_a_server_that_answers_at_the_third_attempt_is_waited_for(trial: Trial) -> None:
    assert trial.migrated().tried("wake") == ""


# ---- Migrations


@pytest.mark.parametrize(
    "command",
    [("-m", "acme.cli", "db", "upgrade"), ("-m", "alembic", "upgrade", "head")],
    ids=["acme", "alembic"],
)
def test_migrations_refuse_the_pooler(trial: Trial, command: tuple[str, ...]) -> None:
    refused = trial.attempt(*command, DATABASE_URL=PASTED)
    assert refused.returncode == 1
    assert refused.stderr.rstrip().endswith(
        "DATABASE_URL names Neon's pooler, and migrations have to go past it: "
        f"set DATABASE_URL_UNPOOLED to the direct URL, whose host is {DIRECT_HOST}."
    )
    assert "hunter2" not in refused.stdout + refused.stderr


# ---- Everything else


@pytest.mark.parametrize("way", ["pooled", "direct"])
def test_a_project_passes_its_own_tests_either_way(
    way: str, running: Neon, workshop: Workshop, python: Path
) -> None:
    room = workshop.room("neon-run")
    project = room / "project"
    shutil.copytree(workshop.render(database="neon"), project)
    url = running.pooled.url if way == "pooled" else running.direct.url
    done = Trial(running, workshop, python, project).attempt(
        *("-m", "pytest", "--tb=short"), TEST_DATABASE_URL=url, TMPDIR=str(room)
    )
    said = (done.stdout + done.stderr).rstrip()
    if done.returncode != 0 or not ALL_PASSED.fullmatch(done.stdout.rstrip().splitlines()[-1]):
        pytest.fail(said[-6000:], pytrace=False)
    shutil.rmtree(room)
