"""The schema of Prisma, and its first migration, of every data model, compared with Prisma's own.

These tests render only the folder `prisma`. Prisma's engines are the stand-ins in `tests/engines/`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from servers.local_postgres import LocalPostgres

from tests import engines
from tests.workshop import REALISTIC, ROOT, TRICKY, Workshop, model

STARTERS = sorted(path.stem for path in (ROOT / "data_model" / "starters").glob("*.yml"))
MODELS = [*TRICKY, *REALISTIC, "lists", *STARTERS]
DATABASES = ["postgresql", "sqlite"]
# Each key with every third case.
KEYS = dict(
    zip(
        [(name, database) for name in MODELS for database in DATABASES],
        cycle(["uuid7", "integer", "uuid4"]),
        strict=False,
    )
)
# The models whose migrations run on the database: with every type, relation and kind of index.
APPLIED = [*TRICKY, "lists", "tasks", "shop"]
CASES = [pytest.param(*case, id="-".join(case)) for case in KEYS]
APPLIED_CASES = [pytest.param(*case, id="-".join(case)) for case in KEYS if case[0] in APPLIED]
# Prisma writes the quotes in the values of an enum as they are, which is not SQL.
UNQUOTED = {("hostile", "postgresql")}
CLI = engines.FOLDER / "node_modules" / "prisma" / "build" / "index.js"
# The table of applied migrations, which Prisma itself creates.
LOG = 'CREATE TABLE "_prisma_migrations"'
BEYOND = "\n-- What the schema of Prisma cannot express.\n"


@pytest.fixture(scope="session", autouse=True)
def _engines() -> None:
    engines.install()


@pytest.fixture(scope="session")
def server() -> Iterator[LocalPostgres]:
    with LocalPostgres() as running:
        yield running


@pytest.fixture(scope="session")
def template(workshop: Workshop) -> Path:
    return workshop.template()


def answers(name: str) -> dict[str, Any]:
    """Return the answers of a model of the tests, or of a starter."""
    if name not in STARTERS:
        return model(name)
    starter = ROOT / "data_model" / "starters" / f"{name}.yml"
    return {"entities": yaml.safe_load(starter.read_text("utf-8"))}


@pytest.mark.parametrize(("name", "database"), CASES)
def test_the_schema_is_valid_and_formatted(
    template: Path, tmp_path: Path, name: str, database: str
) -> None:
    schema = render(template, tmp_path, name, database).read_text("utf-8")
    [checked] = engines.check_schemas({"schema": schema}).values()
    assert checked == {"formatted": schema, "error": None}


@pytest.mark.parametrize(("name", "database"), APPLIED_CASES)
def test_the_first_migration_is_that_of_prisma(
    template: Path, tmp_path: Path, server: LocalPostgres, name: str, database: str
) -> None:
    """It is what Prisma writes, leaves nothing to be changed, and is reverted by its downgrade."""
    schema = render(template, tmp_path, name, database)
    [migration] = schema.parent.glob("migrations/*/migration.sql")
    url = f"file:{tmp_path / 'database.db'}"
    if database == "postgresql":
        url = f"{server.url.removesuffix('postgres')}{name}"  # `migrate deploy` creates it

    def diff(*arguments: str | Path) -> str:
        return run(tmp_path, url, "migrate", "diff", *arguments)

    if (name, database) not in UNQUOTED:
        written = diff("--script", "--from-empty", "--to-schema-datamodel", schema)
        assert _expressed(migration.read_text("utf-8")) == _expressed(written)
    run(tmp_path, url, "migrate", "deploy")
    left = diff("--from-schema-datasource", schema, "--to-schema-datamodel", schema)
    assert "No difference detected" in left
    run(tmp_path, url, "db", "execute", "--url", url, "--file", migration.with_name("down.sql"))
    left = diff("--script", "--from-empty", "--to-schema-datasource", schema)
    assert "CREATE" not in left.replace(LOG, "")


def render(template: Path, folder: Path, name: str, database: str) -> Path:
    """Render the folder `prisma` of a model, and return the path of the schema."""
    given = {**answers(name), "orm": "prisma", "database": database}
    copier.run_copy(
        str(template),
        folder,
        data={**given, "primary_key": KEYS[name, database]},
        exclude=["*", "!/prisma", "!/prisma/**"],
        defaults=True,
        quiet=True,
    )
    return folder / "prisma" / "schema.prisma"


def run(folder: Path, url: str, *arguments: str | Path) -> str:
    """Run the CLI of Prisma in a folder, and return its output."""
    environment = engines.environment({**os.environ, "DATABASE_URL": url})
    ended = subprocess.run(
        ["node", CLI, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _expressed(migration: str) -> str:
    """Return what the schema expresses of a migration: without checks and generated columns."""
    text = migration.split(BEYOND)[0]
    text = re.sub(r',\n    CONSTRAINT "[^"]+" CHECK \(.*\)', "", text)
    text = re.sub(r'"search_vector" tsvector(?s:.*?STORED|[^\n,]*)', "search_vector", text)
    return text.strip()
