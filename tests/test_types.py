"""Generated code is typed: `mypy --strict`, as the project configures it, reports no error."""

from __future__ import annotations

import os
import subprocess
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest

from tests import engines
from tests.oracle import CHOICES, SESSIONS, TRIPLES, WITH_ENGINES, answers_for, label
from tests.workshop import REALISTIC, TRICKY, Workshop, model

STORES = ["postgresql", "mysql", "sqlite", "mongodb"]
SHAPES = {name: model(name) for name in REALISTIC} | {
    name: {"starter": name} for name in ("blog", "chinook", "saas", "shop")
}

DEFAULT = {"orm": "sqlalchemy", "database": "postgresql", "primary_key": "uuid7"}

# Types of keys do not depend on the kind of sessions, and those of an ORM not on the database, so
# the combinations alternate.
LARGE: dict[str, dict[str, Any]] = {
    **{
        f"{name}-{database}": model(name) | place | {"sessions": SESSIONS[place["orm"]][-1]}
        for turn, (name, database) in enumerate(product(TRICKY, STORES))
        for place in [answers_for(database, turn + turn // len(STORES))]
    },
    **{
        f"{name}-{database}": answers | answers_for(database, turn)
        for (turn, (name, answers)), database in zip(
            enumerate(SHAPES.items(), 1), cycle(CHOICES["database"]), strict=False
        )
    },
    # Without owned entities, the principal's key has another type.
    "unowned-mongodb": {"starter": "chinook", "orm": "beanie", "primary_key": "objectid"},
}
# A large model contains what the starter `tasks` does: that is typed where no large model has the
# same ORM, database and kind of key, and once with async sessions only.
PROJECTS = LARGE | {
    label(triple): triple | {"sessions": "both" if triple["primary_key"] == "integer" else "async"}
    for triple in TRIPLES
    if triple["orm"] not in WITH_ENGINES
    if triple == DEFAULT or not any(triple.items() <= each.items() for each in LARGE.values())
}


def test_every_triple_of_orm_database_and_key_is_typed() -> None:
    orms = {answers["orm"] for answers in PROJECTS.values()}
    assert orms >= {"sqlalchemy", "sqlmodel", "beanie"}
    for triple in TRIPLES:
        if triple["orm"] in orms:
            assert any(triple.items() <= answers.items() for answers in PROJECTS.values()), triple


@pytest.mark.parametrize("answers", PROJECTS.values(), ids=[*PROJECTS])
def test_a_project_type_checks(answers: dict[str, Any], workshop: Workshop, python: Path) -> None:
    # A process type-checks libraries once for all its projects.
    cache = workshop.shared_folder(f"mypy-{workshop.worker}")
    done = subprocess.run(
        [python, "-m", "mypy", "--cache-dir", cache],
        cwd=workshop.render(**answers),
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Success")


# Types depend on what the schema supports, and on the key. Neon's are those of PostgreSQL.
PLACES = [("postgresql", "uuid7"), ("neon", "uuid4"), ("sqlite", "integer")]
PRISMA: dict[str, dict[str, Any]] = {
    **{
        label(triple): triple
        for triple in TRIPLES
        if triple["orm"] == "prisma" and (triple["database"], triple["primary_key"]) in PLACES
    },
    **{
        f"{name}-prisma-{database}": model(name) | {"orm": "prisma", "database": database}
        for name, database in zip(TRICKY, cycle(["postgresql", "sqlite"]), strict=False)
    },
}


@pytest.mark.parametrize("answers", PRISMA.values(), ids=[*PRISMA])
def test_a_project_of_prisma_type_checks(
    answers: dict[str, Any], workshop: Workshop, python: Path
) -> None:
    """With the client that is generated from its schema."""
    engines.install()
    project = workshop.copy_of("types", **answers)
    cache = workshop.shared_folder(f"mypy-prisma-{workshop.worker}")
    environment = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    for arguments in (["prisma", "generate"], ["mypy", "--cache-dir", str(cache)]):
        done = subprocess.run(
            [python, "-m", *arguments],
            cwd=project,
            env=engines.environment(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
