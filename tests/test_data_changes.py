"""What the command line does with data: a migration of data, a rehearsal, a backup and a restore."""

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
    "mongodb": '{"name": {"$regex": "^[a-z]"}}',
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
def test_a_migration_of_data_changes_rows_from_before(
    database: str, workshop: Workshop, python: Path
) -> None:
    orm = "beanie" if database == "mongodb" else "sqlalchemy"
    folder = workshop.new_folder("data")
    copied = shutil.copytree(workshop.render(orm=orm, database=database), folder / "project")
    project = Project(copied, python)
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
    shutil.rmtree(folder)


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
    """State tags as they were, and as they are."""
    text = test.read_text("utf-8")
    text = re.sub(r"(BEFORE: \w+ = )\{\}", rf'\g<1>{{"tags": {ROWS}}}', text)
    text = re.sub(r"(AFTER: \w+ = )\{\}", rf'\g<1>{{"tags": {CHANGED}}}', text)
    test.write_text(text, "utf-8")
