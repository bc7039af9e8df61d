"""The code in the documents of a project is formatted and typed, and its examples work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.workshop import Workshop, model

# One of each ORM, and every variation of the examples: sync sessions, no API, no owners, several
# kinds of owners.
PROJECTS: dict[str, dict[str, Any]] = {
    "tasks-postgresql": {},
    "shop-mongodb": {"starter": "shop", "orm": "beanie", "primary_key": "objectid"},
    "blog-sqlite": {
        "starter": "blog",
        "orm": "sqlmodel",
        "database": "sqlite",
        "sessions": "both",
        "api": False,
    },
    "chinook-sqlite": {"starter": "chinook", "database": "sqlite", "primary_key": "integer"},
    "organisation-sqlite": model("organisation") | {"database": "sqlite", "orm": "sqlmodel"},
}

# The tests of the general suite that look at every route.
OF_ALL_ROUTES = [
    "test_only_admins_can_use_the_routes_for_admins",
    "test_every_error_is_described_as_problem_details",
]


@pytest.mark.run
@pytest.mark.parametrize("answers", PROJECTS.values(), ids=[*PROJECTS])
def test_the_examples_of_extending_work_in_the_project(
    answers: dict[str, Any], workshop: Workshop, python: Path
) -> None:
    project = workshop.copy_of("extending", **answers)
    written = write_examples(project)
    tests = [path for path in written if path.startswith("tests/")]
    assert len(tests) >= 3
    run_ruff(project, "check")
    write_usage(project)
    run_ruff(project, "format", "--check", "--diff")
    run(python, project, "mypy", "--cache-dir", workshop.shared_folder(f"mypy-{workshop.worker}"))
    [package] = (path.name for path in (project / "src").iterdir())
    run(python, project, package, "db", "revision", "-m", "add bookings")
    # Also what the general suite says about the layers, and about all routes.
    general = ["tests/data_layer/test_structure.py"]
    if answers.get("api", True):
        general += [f"tests/data_layer/test_api.py::{test}" for test in OF_ALL_ROUTES]
    run(python, project, "pytest", "-q", *tests, *general)


def write_examples(project: Path) -> list[str]:
    """Write each block of Python of `docs/extending.md` into the file that its first line names."""
    written = []
    for block in blocks(project / "docs" / "extending.md"):
        path = block.splitlines()[0].removeprefix("# ")
        assert not (project / path).exists(), path
        (project / path).write_text(block, "utf-8")
        written.append(path)
    return written


def write_usage(project: Path) -> None:
    """Write each block of Python of the README and `docs/queries.md` into a module, to be typed."""
    [package] = (project / "src").iterdir()
    documents = [project / "README.md", project / "docs" / "queries.md"]
    examples = [block for document in documents for block in blocks(document)]
    assert len(examples) >= 2
    for number, block in enumerate(examples):
        (package / f"usage_{number}.py").write_text(block, "utf-8")


def blocks(document: Path) -> list[str]:
    """Return the blocks of Python in a document."""
    found: list[str] = re.findall(
        r"^```python\n(.+?)^```", document.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return found


def run(python: Path, project: Path, *arguments: str | Path) -> None:
    """Run a module in the project; it must succeed."""
    done = subprocess.run(
        [python, "-m", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-3000:]


def run_ruff(project: Path, *arguments: str) -> None:
    """Run the linter or the formatter of this environment, as other tests do."""
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    assert ruff
    done = subprocess.run(
        [ruff, *arguments, "--no-cache", "--quiet", project],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
