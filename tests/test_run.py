"""Generated projects pass their own tests, on the database that they are for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from itertools import cycle, product
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.oracle import SUPPORTED, TRIPLES, in_turn, label
from tests.workshop import REALISTIC, TRICKY, Workshop, model

DEFAULT = {"orm": "sqlalchemy", "database": "postgresql", "primary_key": "uuid7"}

MODELS = {name: model(name) for name in TRICKY}
SHAPES = {name: model(name) for name in REALISTIC} | {
    name: {"starter": name} for name in ("shop", "saas", "blog", "chinook")
}
# Those that keep records in ways of their own. Neon's tables are PostgreSQL's.
STORES = ("postgresql", "mysql", "sqlite", "mongodb")

# What scripts and workers are made of.
LAYER = {"api": False, "sessions": "both"}


def _of_triple(triple: dict[str, Any]) -> dict[str, Any]:
    """What a triple runs: sync sessions go with one kind of key, and most models with one, too."""
    is_whole = triple["primary_key"] in {"integer", "objectid"} or triple == DEFAULT
    sessions = "both" if triple["primary_key"] == "integer" else "async"
    return triple | {"sessions": sessions, "starter": "tasks" if is_whole else "blank"}


RUNS: dict[str, dict[str, Any]] = {
    # The longest first: the last of the session are short. Each of the models that are hard to say
    # is kept in every way, by the ORMs in turn.
    **{
        f"{name}-{database}": answers | in_turn(database, turn + place)
        for turn, (name, answers) in enumerate(MODELS.items())
        for place, database in enumerate(STORES)
    },
    # The others take turns with all of it.
    **{
        f"{name}-{database}": answers | in_turn(database, turn)
        for (turn, (name, answers)), database in zip(
            enumerate(SHAPES.items()), cycle(STORES), strict=False
        )
    },
    # What is different at Neon is how one asks.
    "shop-neon": {"starter": "shop", "database": "neon", "primary_key": "uuid4"},
    "hostile-neon": model("hostile") | {"database": "neon", "primary_key": "integer"},
    **{label(triple): _of_triple(triple) for triple in TRIPLES},
    "blank-sqlite": {"database": "sqlite", "primary_key": "integer", "starter": "blank"},
    "layer-postgresql": LAYER | {"database": "postgresql", "primary_key": "integer"},
    "layer-sqlite": LAYER | {"database": "sqlite", "primary_key": "uuid7", "ci": "none"},
}
SMOKE = [label(DEFAULT), "blank-sqlite"]

# What pytest says last when nothing failed, was skipped, was expected to fail or warned.
ALL_PASSED = re.compile(r"=* ?\d+ passed in [\d.]+s(?: \(\d+:\d\d:\d\d\))? ?=*")

# Longer than any of them takes on a slow machine.
SECONDS = 600


@pytest.mark.run
@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(answers, id=name, marks=pytest.mark.smoke if name in SMOKE else ())
        for name, answers in RUNS.items()
    ],
)
def test_a_project_passes_its_own_tests(
    answers: dict[str, Any], workshop: Workshop, python: Path
) -> None:
    room = workshop.room("run")
    project, home, temporary = room / "project", room / "home", room / "tmp"
    shutil.copytree(workshop.render(**answers), project)
    home.mkdir()
    temporary.mkdir()
    done = subprocess.run(
        [python, "-m", "pytest", "--tb=short"],
        cwd=project,
        env=_surroundings(python, project, home, temporary),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    lines = (done.stdout + done.stderr).rstrip().splitlines()
    if done.returncode != 0 or not ALL_PASSED.fullmatch(done.stdout.rstrip().splitlines()[-1]):
        pytest.fail("\n".join(lines[-150:]), pytrace=False)
    assert _processes_below(room) == []
    assert _left_in(temporary) == []
    assert [*home.iterdir()] == []
    shutil.rmtree(room)


@pytest.mark.run
@pytest.mark.parametrize(
    ("database", "sessions"),
    [*product(SUPPORTED["sqlalchemy"], ["async", "both"]), ("mongodb", "async")],
)
def test_a_project_is_imported_with_its_runtime_dependencies_only(
    database: str, sessions: str, workshop: Workshop
) -> None:
    """Where it is deployed, nobody installs what it is developed with."""
    project = workshop.render(**in_turn(database, 0), sessions=sessions)
    python = workshop.python(f"runtime-{database}-{sessions}", [project], development=False)
    modules = ["acme.cli", "acme.api.app", "acme.models", "acme.repositories", "acme.schemas"]
    modules += ["acme.database.sync_sessions"] if sessions == "both" else []
    subprocess.run(
        [python, "-W", "error", "-c", f"import {', '.join(modules)}"],
        env={"PYTHONPATH": str(project / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )


def _surroundings(python: Path, project: Path, home: Path, temporary: Path) -> dict[str, str]:
    """An environment of nobody's: no setting of the caller reaches the project."""
    return {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project / "src"),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
    }


def _left_in(temporary: Path) -> list[Path]:
    """What is there but for the folders of pytest, which it empties and does not remove."""
    return [
        path
        for path in temporary.rglob("*")
        if not (path.is_dir() and path.relative_to(temporary).parts[0].startswith("pytest-of-"))
    ]


def _processes_below(folder: Path) -> list[str]:
    """The processes that still work there, after a moment to end."""
    deadline = time.monotonic() + 5
    while True:
        left = [
            " ".join(process.info["cmdline"] or [process.info["name"]])
            for process in psutil.process_iter(["name", "cmdline", "cwd"])
            if str(folder)
            in " ".join([*(process.info["cmdline"] or []), process.info["cwd"] or ""])
        ]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)
