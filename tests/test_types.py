"""What comes out is typed: `mypy --strict`, as the project configures it, has nothing to say."""

from __future__ import annotations

import os
import subprocess
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import CHOICES, SESSIONS, TRIPLES, in_turn, label
from tests.workshop import REALISTIC, TRICKY, Workshop, model

STORES = ["postgresql", "mysql", "sqlite", "mongodb"]
SHAPES = {name: model(name) for name in REALISTIC} | {
    name: {"starter": name} for name in ("blog", "chinook", "saas", "shop")
}

# The kind of key is typed alike with either kind of sessions, and so is each ORM on every database:
# they take turns.
PROJECTS: dict[str, dict[str, Any]] = {
    **{
        label(triple): triple
        | {"sessions": "both" if triple["primary_key"] == "integer" else "async"}
        for triple in TRIPLES
    },
    **{
        f"{name}-{database}": model(name) | place | {"sessions": SESSIONS[place["orm"]][-1]}
        for turn, (name, database) in enumerate(product(TRICKY, STORES))
        for place in [in_turn(database, turn + turn // len(STORES))]
    },
    **{
        f"{name}-{database}": answers | in_turn(database, turn)
        for (turn, (name, answers)), database in zip(
            enumerate(SHAPES.items(), 1), cycle(CHOICES["database"]), strict=False
        )
    },
    # Where nobody owns anything, a key stands for anybody.
    "unowned-mongodb": {"starter": "chinook", "orm": "beanie", "primary_key": "objectid"},
}


@pytest.mark.parametrize("answers", PROJECTS.values(), ids=[*PROJECTS])
def test_types_agree(answers: dict[str, Any], workshop: Workshop, python: Path) -> None:
    # Libraries are read once for all projects that one process checks.
    cache = workshop.drawer(f"mypy-{workshop.worker}")
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
