"""A project with Prisma keeps the contract of the repositories, which is the same for every ORM."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests import engines
from tests.workshop import Workshop, environment_of

# Each engine runs a half: a test takes a second, in which an engine starts.
HALVES = {
    "postgresql": ["tests/data_layer/test_repositories.py", "-k", "Task"],
    "sqlite": [
        f"tests/data_layer/test_{name}.py" for name in ("links", "queries", "texts", "migrations")
    ],
}


@pytest.mark.run
@pytest.mark.parametrize(("database", "key"), [("postgresql", "uuid7"), ("sqlite", "integer")])
def test_the_repositories_of_prisma_keep_their_contract(
    workshop: Workshop, database: str, key: str
) -> None:
    engines.install()
    answers = {"orm": "prisma", "database": database, "primary_key": key}
    project = workshop.copy_of(f"prisma-{database}", **answers)
    python = workshop.python(f"prisma-{database}", [project])
    environment = engines.environment({**os.environ, **environment_of(python, project)})

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
