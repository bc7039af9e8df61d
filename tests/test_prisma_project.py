"""A project with Prisma keeps the contract of the repositories, which is the same for every ORM.

The template does not offer Prisma yet: what its projects lack is their own migrations. The command
of Prisma applies the first one here.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests import engines
from tests.with_prisma import template_with_prisma
from tests.workshop import Workshop, copy, environment_of

# What stands for `migrating/commands.py`.
COMMANDS = '''\
"""Apply the migrations with the command of Prisma."""

import os
import subprocess
import sys
from pathlib import Path

from acme.database import driver
from acme.settings import URL, DatabaseSettings


def upgrade(url: URL) -> None:
    """Upgrade a database to the latest migration."""
    address = driver.engine_url(DatabaseSettings(database_url=url), 1)
    subprocess.run(
        [sys.executable, "-m", "prisma", "migrate", "deploy"],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "DATABASE_URL": address},
        check=True,
        capture_output=True,
    )
'''
# Each engine runs a half: a test takes a second, in which an engine starts.
HALVES = {
    "postgresql": ["tests/data_layer/test_repositories.py", "-k", "Task"],
    "sqlite": [f"tests/data_layer/test_{name}.py" for name in ("links", "queries", "texts")],
}


@pytest.mark.run
@pytest.mark.parametrize(("database", "key"), [("postgresql", "uuid7"), ("sqlite", "integer")])
def test_the_repositories_of_prisma_keep_their_contract(
    workshop: Workshop, database: str, key: str
) -> None:
    engines.install()
    project = workshop.new_folder(f"prisma-{database}") / "project"
    answers = {"orm": "prisma", "database": database, "primary_key": key}
    copy(template_with_prisma(workshop), project, **answers)
    python = workshop.python(f"prisma-{database}", [project])
    environment = engines.environment({**os.environ, **environment_of(python, project)})
    (project / "src" / "acme" / "migrating" / "commands.py").write_text(COMMANDS, "utf-8")

    def run(*arguments: str) -> None:
        done = subprocess.run(
            [python, "-m", *arguments],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]

    run("prisma", "generate", "--schema", str(Path("prisma", "schema.prisma")))
    run("pytest", "-q", "-p", "no:cacheprovider", *HALVES[database])
