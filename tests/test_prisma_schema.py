"""The schema of Prisma, and its first migration, of every data model, compared with Prisma's own.

The template does not offer Prisma yet. These tests render only the folder `prisma`, from a copy of the
template that offers it. Prisma's engines are the stand-ins in `tests/engines/`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from filelock import FileLock
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
CASES = [pytest.param(*case, key, id="-".join([*case, key])) for case, key in KEYS.items()]
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
    """A copy of the template that offers Prisma."""
    copy = workshop.folder / "prisma-template"
    with FileLock(copy.with_suffix(".lock")):
        if not copy.exists():
            unfinished = copy.with_suffix(".unfinished")
            shutil.copytree(workshop.template(), unfinished)
            offer(unfinished)
            unfinished.rename(copy)
    return copy


def offer(template: Path) -> None:
    """Offer Prisma in a copy of the template."""
    choice = "    Beanie 2.2 (MongoDB documents): beanie\n"
    for file, text, replacement in [
        ("copier.yml", choice, f"{choice}    Prisma: prisma\n"),
        ("data_model/answer_problems.jinja", "'beanie'],\n", "'beanie', 'prisma'],\n"),
    ]:
        path = template / file
        before = path.read_text("utf-8")
        assert before.count(text) == 1, f"{file}: {text!r}"
        path.write_text(before.replace(text, replacement), "utf-8")


def answers(name: str) -> dict[str, Any]:
    """Return the answers of a model of the tests, or of a starter."""
    if name not in STARTERS:
        return model(name)
    starter = ROOT / "data_model" / "starters" / f"{name}.yml"
    return {"entities": yaml.safe_load(starter.read_text("utf-8"))}


@pytest.mark.parametrize(("name", "database", "key"), CASES)
def test_prisma_agrees(
    template: Path, tmp_path: Path, server: LocalPostgres, name: str, database: str, key: str
) -> None:
    """The schema is valid and formatted; the migration is Prisma's; both describe one database."""
    given = {**answers(name), "orm": "prisma", "database": database, "primary_key": key}
    only = ["*", "!/prisma", "!/prisma/**"]
    copier.run_copy(str(template), tmp_path, data=given, exclude=only, defaults=True, quiet=True)
    schema = tmp_path / "prisma" / "schema.prisma"
    [migration] = (tmp_path / "prisma" / "migrations").glob("*/migration.sql")
    url = f"file:{tmp_path / 'database.db'}"
    if database == "postgresql":
        url = f"{server.url.removesuffix('postgres')}{name}"  # `migrate deploy` creates it

    [checked] = engines.check_schemas({"schema": schema.read_text("utf-8")}).values()
    assert checked == {"formatted": schema.read_text("utf-8"), "error": None}

    def prisma(*arguments: str | Path) -> str:
        return run(tmp_path, url, *arguments)

    target = "--to-schema-datamodel", schema
    if (name, database) not in UNQUOTED:
        written = prisma("migrate", "diff", "--script", "--from-empty", *target)
        assert _expressed(migration.read_text("utf-8")) == _expressed(written)
    prisma("migrate", "deploy")
    assert "No difference detected" in prisma(
        "migrate", "diff", "--from-schema-datasource", schema, *target
    )
    prisma("db", "execute", "--url", url, "--file", migration.with_name("down.sql"))
    left = prisma("migrate", "diff", "--script", "--from-empty", "--to-schema-datasource", schema)
    assert "CREATE" not in left.replace(LOG, "")


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
