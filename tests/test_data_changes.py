"""What the command line does with data: migrations of data, rehearsals, backups and restores."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.workshop import Workshop, environment_of

ROWS = [{"name": name} for name in ("a", "b", "C", "d", "e")]
CHANGED = [{"name": row["name"].upper()} for row in ROWS]
PENDING = {
    "postgresql": "TABLE.c.name != sa.func.upper(TABLE.c.name)",
    "mysql": 'TABLE.c.name.collate("utf8mb4_bin") != sa.func.upper(TABLE.c.name)',
    "sqlite": "TABLE.c.name != sa.func.upper(TABLE.c.name)",
    "mongodb": '{"name": {"$regex": "[a-z]"}}',
}

# Replaces a database by its backup, and rejects backups that do not fit.
TRIAL = """
import asyncio
import json
from contextlib import suppress
from pathlib import Path
from zipfile import ZipFile

from acme.database import Database
from acme.development.backups import BackupError, back_up, restore
from acme.development.contents import contents
from acme.development.dumping import load
from acme.development.local_database import temporary_database
from acme.development.seeding import default_counts, seed
from acme.migrating import commands
from acme.settings import DatabaseSettings


def fill(url, number):
    async def write():
        database = Database(DatabaseSettings(database_url=url))
        await seed(database, default_counts(20), seed=number)
        await database.close()

    asyncio.run(write())


def changed(name, **changes):
    with ZipFile(FILE) as old, ZipFile(name, "w") as new:
        manifest = json.loads(old.read("manifest.json"))
        new.writestr("contents", old.read("contents"))
        new.writestr("manifest.json", json.dumps(manifest | changes))
    return Path(name)


FILE = Path("before.backup")
with temporary_database() as url:
    commands.upgrade(url)
    fill(url, 1)
    before = contents(url)
    back_up(url, FILE)
    fill(url, 2)
    assert contents(url) != before
    restore(url, FILE)
    assert contents(url) == before
    commands.check(url)
    cut = Path("cut.backup")
    cut.write_bytes(FILE.read_bytes()[:-100])
    damaged = {
        cut: "is truncated or damaged",
        Path("README.md"): "is truncated or damaged",
        changed("version.backup", server_version="1.0"): "and the server is",
        changed("project.backup", project="other"): "is a backup of the project other",
        changed("revision.backup", revisions=["later"]): "not in migrations/versions",
    }
    for file, why in damaged.items():
        try:
            restore(url, file)
        except BackupError as error:
            assert why in str(error), error
        else:
            raise AssertionError(f"{file} was restored")
        assert contents(url) == before
    # A restore that fails halfway has changed nothing.
    fill(url, 3)
    known = contents(url)
    with ZipFile(FILE) as archive:
        whole = archive.read("contents")
    cut.write_bytes(whole[: len(whole) * 3 // 4])
    with suppress(Exception):
        load(url, cut)
        raise SystemExit("a part of a backup was restored")
    assert contents(url) == known
    restore(url, FILE)
    assert contents(url) == before
    commands.check(url)
"""
# The end of the trial on SQL databases, whose drivers keep all rows of a query by default.
MANY_ROWS = """
    import tracemalloc

    from sqlalchemy import Column, Integer, MetaData, String, Table, insert

    from acme.migrating.connections import run_on

    table = Table("many", MetaData(), Column("id", Integer), Column("name", String(200)))

    def write(connection):
        table.create(connection)
        rows = [{"id": number, "name": "x" * 150} for number in range(1_000)]
        for _ in range(8):
            connection.execute(insert(table), rows)

    run_on(url, write)
    contents(url)
    tracemalloc.start()
    assert contents(url)["many"].rows == 8_000
    peak = tracemalloc.get_traced_memory()[1]
    assert peak < 3_000_000, peak
"""

# No server answers there: a rehearsal of a backup needs none.
URLS = {
    "postgresql": "postgresql://acme@127.0.0.1:1/acme",
    "mysql": "mariadb://acme@127.0.0.1:1/acme",
    "sqlite": "sqlite:////nowhere/acme.db",
    "mongodb": "mongodb://127.0.0.1:1/acme",
}


class Project:
    """A copy of a project, whose commands can be run."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self._python = python

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a module in the project, which may fail."""
        return subprocess.run(
            [self._python, "-m", *arguments],
            cwd=self.folder,
            env={**environment_of(self._python, self.folder), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def succeed(self, *arguments: str, **variables: str) -> str:
        """Run a module in the project, and return what it printed."""
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.mark.run
@pytest.mark.parametrize("database", PENDING)
def test_data_is_backed_up_corrected_and_rehearsed(
    database: str, workshop: Workshop, python: Path
) -> None:
    orm = "beanie" if database == "mongodb" else "sqlalchemy"
    copied = workshop.copy_of("data", orm=orm, database=database)
    project = Project(copied, python)
    trial = TRIAL if database == "mongodb" else TRIAL + MANY_ROWS
    (copied / "trial.py").write_text(trial, "utf-8")
    project.succeed("trial")
    (copied / "trial.py").unlink()

    said = project.succeed("acme.cli", "db", "revision", "--data", "-m", 'Shout the "names".')
    [migration, test] = [copied / name for name in re.findall(r"\S+\.py", said)]
    assert project.run("ruff", "check").returncode == 0
    assert project.run("ruff", "format", "--check").returncode == 0
    assert "1 failed" in project.run("pytest", "-q", str(test)).stdout
    fill_in_the_test(test)
    name_the_table(migration)
    unfinished = project.run("pytest", "-q", str(test))
    assert "state which" in unfinished.stdout

    fill_in(migration, database)
    project.succeed("pytest", "-q", str(test), "tests/data_layer/test_structure.py")
    nowhere = {"DATABASE_URL": URLS[database]}
    report = project.succeed("acme.cli", "db", "rehearse", "--from", "before.backup", **nowhere)
    assert f"{migration.name}: risk" in report
    assert "\n  name: other values\n" in report
    assert report.count("other values") == 1
    shutil.rmtree(copied.parent)


def name_the_table(migration: Path) -> None:
    """Let a migration change tags."""
    text = migration.read_text("utf-8")
    text = re.sub(r'COLLECTION = ".*"', 'COLLECTION = "tags"', text)
    text = re.sub(r"sa\.table\(.*\)", 'sa.table("tags", sa.column("id"), sa.column("name"))', text)
    migration.write_text(text, "utf-8")


def fill_in(migration: Path, database: str) -> None:
    """Let a migration write names in capitals."""
    text = migration.read_text("utf-8")
    text = text.replace("= UNFINISHED\n", f"= {PENDING[database]}\n")
    name = 'document["name"]' if database == "mongodb" else "row.name"
    text = re.sub(r'return \{".*\}', f'return {{"name": {name}.upper()}}', text)
    migration.write_text(text, "utf-8")


def fill_in_the_test(test: Path) -> None:
    """State tags as they were, and as they are, and a task with a rule and an owner."""
    text = test.read_text("utf-8")
    before = {"users": [{"email": "a@example.com"}], "tasks": [{"title": "t"}], "tags": ROWS}
    text = re.sub(r"(BEFORE: \w+ = )\{\}", rf"\g<1>{before}", text)
    text = re.sub(r"(AFTER: \w+ = )\{\}", rf'\g<1>{{"tags": {CHANGED}}}', text)
    test.write_text(text, "utf-8")
