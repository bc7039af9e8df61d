"""Generated code is typed: `mypy --strict`, as the project configures it, reports no error."""

from __future__ import annotations

import os
import subprocess
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import CHOICES, SESSIONS, TRIPLES, answers_for, label
from tests.workshop import REALISTIC, TRICKY, Workshop, model

STORES = ["postgresql", "mysql", "sqlite", "mongodb"]
SHAPES = {name: model(name) for name in REALISTIC} | {
    name: {"starter": name} for name in ("blog", "chinook", "saas", "shop")
}

# Types of keys do not depend on the kind of sessions, and those of an ORM not on the database, so
# the combinations alternate.
PROJECTS: dict[str, dict[str, Any]] = {
    **{
        label(triple): triple
        | {"sessions": "both" if triple["primary_key"] == "integer" else "async"}
        for triple in TRIPLES
    },
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
