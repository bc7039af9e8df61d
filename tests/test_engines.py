"""The stand-ins for Prisma's native engines: see tests/engines/README.md."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest
from filelock import FileLock
from servers.local_postgres import LocalPostgres

from tests import engines
from tests.pooler import neon
from tests.workshop import Workshop, environment_of

pytestmark = pytest.mark.run

HERE = Path(engines.__file__).parent
SCHEMA = (HERE / "schema.prisma").read_text("utf-8")
FIRST = "20240101000000_first"
PYPROJECT = """\
[project]
dependencies = ["prisma==0.15.0"]
"""


def schema_for(database: str) -> str:
    """Return the schema of these tests for a database."""
    if database == "postgresql":
        return SCHEMA
    lines = [line for line in SCHEMA.splitlines() if not line.endswith("// postgresql")]
    return "\n".join(lines).replace('"postgresql"', f'"{database}"') + "\n"


class Project:
    """A folder with a schema, the client generated from it, and its first migration."""

    def __init__(self, folder: Path, python: Path, url: str = "") -> None:
        self.folder = folder
        self.python = python
        self.environment = engines.environment(
            environment_of(python, folder) | {"DATABASE_URL": url}
        )

    def prisma(self, *words: str, status: int = 0) -> str:
        """Run the CLI, check its exit status, and return its output."""
        # Not the `prisma` of Python, which starts this program, too, and takes longer.
        cli = engines.FOLDER / "node_modules" / "prisma" / "build" / "index.js"
        return self._run(["node", cli, *words], status)

    def generate(self) -> None:
        """Generate the client."""
        self._run([self.python.with_name("prisma"), "generate"])

    def trial(self, *scenarios: str) -> str:
        """Run scenarios of `trial.py`, and return its output."""
        return self._run([self.python, HERE / "trial.py", *scenarios])

    def _run(self, command: list[str | Path], status: int = 0) -> str:
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        output = result.stdout + result.stderr
        assert result.returncode == status, output
        return output


@pytest.fixture(scope="session")
def prisma(workshop: Workshop) -> Path:
    """A Python with Prisma Client Python, and the packages of the engines."""
    engines.install()
    needs = workshop.shared_folder("engines")
    (needs / "pyproject.toml").write_text(PYPROJECT)
    return workshop.python("prisma", [needs], development=False)


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalPostgres]:
    with LocalPostgres() as running:
        yield running


@pytest.fixture
def project(
    database: str, prisma: Path, workshop: Workshop, request: pytest.FixtureRequest
) -> Iterator[Project]:
    """A project on an empty database."""
    folder = workshop.new_folder("engines")
    project = folder / "project"
    shutil.copytree(generated(database, prisma, workshop), project)
    url = "file:./data/records.db"
    if database == "postgresql":
        url = asyncio.run(new_database(request.getfixturevalue("server").url))
    yield Project(project, prisma, url)
    shutil.rmtree(folder)


async def new_database(url: str) -> str:
    """Create a database, and return its URL."""
    name = f"d{time.monotonic_ns()}"
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return f"{url.removesuffix('/postgres')}/{name}"


def generated(database: str, python: Path, workshop: Workshop) -> Path:
    """Return the folder of a project that all tests share."""
    folder = workshop.shared_folder("engines") / database
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "migrations").exists():
            folder.mkdir(exist_ok=True)
            (folder / "schema.prisma").write_text(schema_for(database))
            created = Project(folder, python)
            created.generate()
            target = ("--to-schema-datamodel", "schema.prisma", "--script")
            script = created.prisma("migrate", "diff", "--from-empty", *target)
            add_migration(created, FIRST, script)
            lock = f'provider = "{database}"\n'
            (folder / "migrations" / "migration_lock.toml").write_text(lock)
    return folder


def add_migration(project: Project, name: str, script: str) -> Path:
    folder = project.folder / "migrations" / name
    folder.mkdir(parents=True)
    (folder / "migration.sql").write_text(script)
    return folder


# ---- Packages


def test_packages_are_pinned_and_name_no_registry() -> None:
    package = json.loads((HERE / "package.json").read_text())
    assert [
        v for v in package["dependencies"].values() if not re.search(r"(^|@)\d[\w.-]+$", v)
    ] == []
    lock = json.loads((HERE / "package-lock.json").read_text())
    assert [name for name, each in lock["packages"].items() if "resolved" in each] == []
    assert lock["packages"][""]["dependencies"] == package["dependencies"]


def test_the_engines_are_of_the_version_that_the_client_expects(prisma: Path) -> None:
    code = "from prisma import config as c; print(c.prisma_version, c.expected_engine_version)"
    version, commit = subprocess.check_output([prisma, "-c", code], text=True).split()
    package = json.loads((HERE / "package.json").read_text())
    exact = {name: package["dependencies"][name] for name in ("prisma", "@prisma/client")}
    assert {*exact.values()} == {version}
    assert package["dependencies"]["@prisma/prisma-schema-wasm"].endswith(commit)
    environment = engines.environment(os.environ)
    for variable, name in {
        "PRISMA_QUERY_ENGINE_BINARY": "query-engine",
        "PRISMA_SCHEMA_ENGINE_BINARY": "schema-engine-cli",
    }.items():
        command = [environment[variable], "--version"]
        output = subprocess.check_output(command, env=environment, text=True)
        assert output == f"{name} {commit}\n"


def test_many_schemas_are_formatted_and_validated_at_once(prisma: Path) -> None:
    untidy = schema_for("sqlite").replace("  id    Int ", " id Int")
    results = engines.check_schemas({"a": untidy, "b": untidy.replace("Tag[]", "Tax[]")})
    assert results["a"] == {"formatted": results["a"]["formatted"], "error": None}
    assert "  id    Int    @id @default(autoincrement())\n" in results["a"]["formatted"]
    assert 'Type "Tax" is neither a built-in type' in results["b"]["error"]


# ---- Migrations


def test_migrations_are_applied_compared_and_repaired(
    project: Project, database: str, request: pytest.FixtureRequest
) -> None:
    assert FIRST in project.prisma("migrate", "deploy")
    assert "up to date" in project.prisma("migrate", "status")
    schema = project.folder / "schema.prisma"
    live = ("--from-schema-datasource", "schema.prisma", "--to-schema-datamodel", "schema.prisma")
    assert "No difference" in project.prisma("migrate", "diff", *live, "--exit-code")

    schema.write_text(schema.read_text().replace("model Tag {", "model Tag {\n  note String?"))
    shadow = "unused"
    if database == "postgresql":
        shadow = asyncio.run(new_database(request.getfixturevalue("server").url))
    history = ("--from-migrations", "migrations", "--to-schema-datamodel", "schema.prisma")
    options = ("--shadow-database-url", shadow, "--script", "--exit-code")
    script = project.prisma("migrate", "diff", *history, *options, status=2)
    assert re.fullmatch(r'-- AlterTable\nALTER TABLE "Tag" ADD COLUMN +"note" TEXT;\s*', script)
    output = project.prisma("migrate", "dev", "--name", "Add a note", "--skip-generate")
    assert "_add_a_note" in output

    name = "29990102000000_broken"
    script = "CREATE TABLE a (x INT);\nINSERT INTO missing VALUES (1);\n"
    broken = add_migration(project, name, script)
    output = project.prisma("migrate", "deploy", status=1)
    assert "P3018" in output
    assert f"Migration name: {name}" in output
    assert "missing" in output
    project.prisma("migrate", "resolve", "--rolled-back", name)
    # PostgreSQL rolled the script back. The statements of this one contain semicolons.
    repaired = {
        "postgresql": "CREATE TABLE a (x INT);\nCREATE FUNCTION f() RETURNS trigger"
        " LANGUAGE plpgsql AS $$ BEGIN NEW.x := 1; RETURN NEW; END $$;\n",
        "sqlite": "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;\n",
    }[database]
    (broken / "migration.sql").write_text(repaired)
    assert name in project.prisma("migrate", "deploy")


# ---- Queries


def test_queries_and_failures_are_those_of_the_native_engine(
    project: Project, database: str
) -> None:
    project.prisma("migrate", "deploy")
    scenarios = ["everything", "limits", "killed_engine"]
    scenarios += ["lost_connections"] if database == "postgresql" else []
    output = project.trial(*scenarios).split()
    assert {*scenarios} <= {*output}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_engine_of_a_killed_client_ends_on_a_signal_only(project: Project) -> None:
    """The native engine keeps running, too: a project has to end it."""
    (project.folder / "data").mkdir()
    command = [str(project.python), str(HERE / "trial.py"), "waiting_client"]
    client = subprocess.Popen(
        command, cwd=project.folder, env=project.environment, stdout=subprocess.PIPE, text=True
    )
    assert client.stdout
    engine = psutil.Process(int(client.stdout.readline()))
    try:
        client.kill()
        client.wait()
        client.stdout.close()
        with pytest.raises(psutil.TimeoutExpired):
            engine.wait(1)
        engine.send_signal(signal.SIGTERM)
        engine.wait(30)
    finally:
        with suppress(psutil.NoSuchProcess):
            engine.kill()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_engine_without_its_database_says_why(project: Project, server: LocalPostgres) -> None:
    good = str(server.url)
    login = good.split("@")[0]
    for url, code in {
        "postgresql://a:b@127.0.0.1:1/a": "P1001",
        good.replace(login, login + "x"): "P1000",
        good.replace("/postgres", "/missing").replace("//missing", "//postgres"): "P1003",
        good + "?sslmode=require": "P1011",
        "mysql://a:b@127.0.0.1:1/a": "P1012",
        "": "P1012",
    }.items():
        assert start_error(Project(project.folder, project.python, url)) == code, url


def start_error(project: Project) -> str:
    """Return the code of the error with which the query engine ends."""
    environment = project.environment | {"PRISMA_DML_PATH": str(project.folder / "schema.prisma")}
    command = [environment["PRISMA_QUERY_ENGINE_BINARY"], "-p", "0"]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1, result.stdout
    return str(json.loads(result.stderr)["error_code"])


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_tls_and_poolers_work_as_the_url_says(
    database: str, prisma: Path, workshop: Workshop
) -> None:
    folder = workshop.new_folder("neon")
    project = folder / "project"
    shutil.copytree(generated(database, prisma, workshop), project)
    with neon(folder) as running:
        tls = f"sslmode=require&sslaccept=strict&sslcert={folder / 'authority.pem'}"
        direct, pooled = (
            each.url.partition("?")[0] + "?" + tls for each in (running.direct, running.pooled)
        )
        Project(project, prisma, direct).prisma("migrate", "deploy")
        Project(project, prisma, f"{pooled}&pgbouncer=true").trial("pooled")
        with pytest.raises(AssertionError, match="prepared statement"):
            Project(project, prisma, pooled).trial("pooled")
        address = direct.replace("localhost", "127.0.0.1")
        assert start_error(Project(project, prisma, address)) == "P1011"
    shutil.rmtree(folder)
