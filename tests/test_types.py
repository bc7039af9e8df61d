"""What comes out is typed: `mypy --strict`, as the project configures it, has nothing to say."""

from __future__ import annotations

import os
import subprocess
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import TRIPLES, label
from tests.workshop import REALISTIC, TRICKY, Workshop, model

DATABASES = ["postgresql", "neon", "sqlite"]
STARTERS = ["blog", "chinook", "saas", "shop"]

PROJECTS: dict[str, dict[str, Any]] = {
    **{label(triple): triple for triple in TRIPLES},
    **{
        f"{label(triple)}-both": triple | {"sessions": "both"}
        for triple in TRIPLES
        if triple["primary_key"] == "integer"
    },
    **{
        f"{database}-{name}": model(name) | {"database": database, "sessions": "both"}
        for database in DATABASES
        for name in TRICKY
    },
    **{
        f"sqlmodel-{database}-{name}": model(name) | {"orm": "sqlmodel", "database": database}
        for database, name in zip(cycle(DATABASES), TRICKY, strict=False)
    },
    # What is typed differently by database is in the models above.
    **{
        f"{database}-{name}": model(name) | {"database": database}
        for database, name in zip(cycle(DATABASES), REALISTIC, strict=False)
    },
    **{
        f"{database}-{name}": {"database": database, "starter": name}
        for database, name in zip(cycle(DATABASES), STARTERS, strict=False)
    },
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
