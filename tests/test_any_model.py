"""Any valid model works end to end: its code is clean, and its records can be written and read.

The ordinary suite draws a few models, the same ones each time. `GROUNDWORK_EXAMPLES=500` draws 500
random ones instead. Models that failed in the past are in `former_failures.yml`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, example, given, note, settings
from hypothesis import strategies as st
from servers.local_mongodb import LocalMongoDB
from servers.local_postgres import LocalPostgres

from tests import engines
from tests.any_model import SEARCHED, Entities, models, possible_records
from tests.oracle import SUPPORTED
from tests.workshop import Workshop, copy

HERE = Path(__file__).parent

FORMER: list[dict[str, Any]] = yaml.safe_load((HERE / "former_failures.yml").read_text("utf-8"))

# An example takes five seconds. A failing example is not shrunk, which takes about a hundred more
# examples, unless GROUNDWORK_EXAMPLES is set.
DRAWN = settings(
    max_examples=SEARCHED or 6,
    derandomize=not SEARCHED,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if SEARCHED else [])],
    suppress_health_check=list(HealthCheck),
)

keys = st.sampled_from(sorted(SUPPORTED["sqlalchemy"]["postgresql"]))
document_keys = st.sampled_from(sorted(SUPPORTED["beanie"]["mongodb"]))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Yield the URL of a PostgreSQL server, on which each example creates a database."""
    with LocalPostgres() as running:
        yield running.url


@pytest.fixture(scope="module")
def mongodb() -> Iterator[str]:
    """Yield the URL of a MongoDB server, on which each example creates a database."""
    with LocalMongoDB() as running:
        yield running.url


def former(database: str) -> Entities:
    """Return the models that once failed on a database, merged into one."""
    cases = [case for case in FORMER if case.get("database", database) == database]
    entities = [item for case in cases for item in case["entities"].items()]
    assert len(dict(entities)) == len(entities), "two models have an entity of the same name"
    return dict(entities)


@pytest.mark.run
@DRAWN
@given(entities=models("postgresql"), key=keys)
@example(entities=former("postgresql"), key="integer")
def test_any_model_works_on_postgresql(
    entities: Entities, key: str, server: str, workshop: Workshop, python: Path
) -> None:
    answers = {"database": "postgresql", "primary_key": key, "entities": entities}
    check_project(answers, server, workshop, python)


@pytest.mark.run
@DRAWN
@given(entities=models("sqlite"), key=keys)
@example(entities=former("sqlite"), key="integer")
def test_any_model_works_on_sqlite(
    entities: Entities, key: str, workshop: Workshop, python: Path
) -> None:
    answers = {"database": "sqlite", "primary_key": key, "entities": entities}
    check_project(answers, "", workshop, python)


@pytest.mark.run
@DRAWN
@given(entities=models("mongodb"), key=document_keys)
@example(entities=former("mongodb"), key="objectid")
def test_any_model_works_on_mongodb(
    entities: Entities, key: str, mongodb: str, workshop: Workshop, python: Path
) -> None:
    answers = {"orm": "beanie", "database": "mongodb", "primary_key": key, "entities": entities}
    check_project(answers, mongodb, workshop, python)


@pytest.mark.run
@DRAWN
@given(
    entities=models("sqlite", "prisma"),
    key=keys,
    database=st.sampled_from(["postgresql", "sqlite"]),
)
@example(entities=former("sqlite"), key="integer", database="postgresql")
def test_any_model_has_a_valid_schema_of_prisma(
    entities: Entities, key: str, database: str, workshop: Workshop, python: Path
) -> None:
    """Without its records, for which an engine would have to start."""
    engines.install()
    answers = {"orm": "prisma", "database": database, "primary_key": key, "entities": entities}
    folder = workshop.new_folder("any")
    try:
        project = write_project(answers, folder, workshop, python)
        schema = (project / "prisma" / "schema.prisma").read_text("utf-8")
        [checked] = engines.check_schemas({"schema": schema}).values()
        assert checked == {"formatted": schema, "error": None}
    finally:
        shutil.rmtree(folder)


def check_project(answers: dict[str, Any], server: str, workshop: Workshop, python: Path) -> None:
    """Render a project, check its code with Ruff, and run it."""
    folder = workshop.new_folder("any")
    try:
        project = write_project(answers, folder, workshop, python)
        url = server or f"sqlite:///{folder / 'any.db'}"
        counts = json.dumps(possible_records(answers["entities"]))
        run(project, str(python), "-W", "error", str(HERE / "trial.py"), url, counts)
    finally:
        shutil.rmtree(folder)


def write_project(answers: dict[str, Any], folder: Path, workshop: Workshop, python: Path) -> Path:
    """Render a project, check its code with Ruff, and return its folder."""
    note(yaml.safe_dump(answers, sort_keys=False, allow_unicode=True))
    project = folder / "project"
    copy(workshop.template(), project, project_name="Anything", ci="none", **answers)
    ruff = str(python.with_name("ruff"))
    run(project, ruff, "check", "--quiet", "--no-cache")
    run(project, ruff, "format", "--quiet", "--no-cache", "--diff")
    return project


def run(project: Path, *command: str) -> None:
    """Run a command that must succeed without output."""
    done = subprocess.run(
        command,
        cwd=project,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(project / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    output = (done.stdout + done.stderr).strip()
    if done.returncode != 0 or output:
        pytest.fail(f"{Path(command[0]).name}: {output[-6000:]}", pytrace=False)
