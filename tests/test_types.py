"""What comes out is typed: `mypy --strict`, as the project configures it, has nothing to say."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import TRIPLES, label
from tests.workshop import Workshop, model

PROJECTS = {label(triple): triple for triple in TRIPLES} | {
    f"{database}-{name}": model(name) | {"database": database}
    for database in ("postgresql", "sqlite")
    for name in ("hostile", "odd", "organisation", "types")
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
