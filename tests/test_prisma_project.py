"""Projects with Prisma pass their own tests, on the stand-ins for its engines."""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests import engines
from tests.test_run import ALL_PASSED, SECONDS, _remaining_files, _remaining_processes
from tests.workshop import Workshop, copy, environment_of

DATA_LAYER = "tests/data_layer/"

# A test takes a second, in which engines start: parts of a suite run in parallel.
API = [f"{DATA_LAYER}test_api.py"]
REPOSITORIES = [f"{DATA_LAYER}test_repositories.py"]
OTHERS = ["tests", *(f"--ignore={file}" for file in (*API, *REPOSITORIES))]
WHOLE = {"api": API, "repositories": REPOSITORIES, "others": OTHERS}

# Neon differs from PostgreSQL in connections and in statements outside of transactions.
NEON = [f"{DATA_LAYER}test_{name}.py" for name in ("neon", "database", "settings", "migrations")]
# Another kind of key changes how keys are made, sent, compared and read.
KEYS = [f"{DATA_LAYER}test_{name}.py" for name in ("links", "queries")]

PARTS = {
    ("postgresql", "uuid7"): WHOLE,
    # HTTP knows no database.
    ("sqlite", "integer"): {"repositories": REPOSITORIES, "others": OTHERS},
    ("neon", "uuid4"): {"connections": NEON, "keys": KEYS},
}
RUNS = [
    pytest.param(database, key, files, id=f"{database}-{key}-{part}")
    for database, key in product(("postgresql", "sqlite", "neon"), ("uuid7", "integer", "uuid4"))
    for part, files in PARTS.get((database, key), {"keys": KEYS}).items()
]


@pytest.mark.run
@pytest.mark.parametrize(("database", "key", "files"), RUNS)
def test_a_project_with_prisma_passes_its_own_tests(
    workshop: Workshop, database: str, key: str, files: list[str]
) -> None:
    generated, python = _generated(workshop, database, key)
    folder = workshop.new_folder("prisma-run")
    project = Path(shutil.copytree(generated, folder / "project"))
    done = _run(python, project, "pytest", "--tb=short", *files)
    last = done.stdout.rstrip().splitlines()[-1]
    if done.returncode != 0 or not ALL_PASSED.fullmatch(last):
        pytest.fail((done.stdout + done.stderr)[-9000:], pytrace=False)
    assert _remaining_processes(folder) == []
    assert _remaining_files(folder / "tmp") == []
    shutil.rmtree(folder)


def _generated(workshop: Workshop, database: str, key: str) -> tuple[Path, Path]:
    """Return a project with its generated client, created once, and its Python."""
    engines.install()
    project = workshop.folder / "prisma" / f"{database}-{key}" / "project"
    project.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(project.with_suffix(".lock")):
        if not project.exists():
            unfinished = project.with_suffix(".unfinished")
            answers: dict[str, Any] = {"database": database, "primary_key": key}
            copy(workshop.template(), unfinished, orm="prisma", **answers)
            python = workshop.python(f"prisma-{database}", [unfinished])
            schema = str(Path("prisma", "schema.prisma"))
            done = _run(python, unfinished, "prisma", "generate", "--schema", schema)
            assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
            unfinished.rename(project)
    return project, workshop.python(f"prisma-{database}", [project])


def _run(python: Path, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", *arguments],
        cwd=project,
        env=engines.environment({**os.environ, **environment_of(python, project)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
