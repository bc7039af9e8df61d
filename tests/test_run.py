"""Generated projects pass their own tests on their real database."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from itertools import cycle, product
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.oracle import CHOICES, PAIRS, SUPPORTED, TRIPLES, WITH_ENGINES, answers_for, label
from tests.workshop import REALISTIC, TRICKY, Workshop, environment_of, model

DEFAULT = {"orm": "sqlalchemy", "database": "postgresql", "primary_key": "uuid7"}

MODELS = {name: model(name) for name in TRICKY}
SHAPES = {name: model(name) for name in REALISTIC} | {
    name: {"starter": name} for name in ("shop", "saas", "blog", "chinook")
}
# The databases that store records differently. Neon's tables are PostgreSQL's.
STORES = ("postgresql", "mysql", "sqlite", "mongodb")

# A project for scripts and workers.
LAYER = {"api": False, "sessions": "both"}


def _of_triple(triple: dict[str, Any]) -> dict[str, Any]:
    """Return the answers for a triple: one kind of key gets sync sessions and the full model."""
    is_whole = triple["primary_key"] in {"integer", "objectid"} or triple == DEFAULT
    sessions = "both" if triple["primary_key"] == "integer" else "async"
    return triple | {"sessions": sessions, "starter": "tasks" if is_whole else "blank"}


LARGE: dict[str, dict[str, Any]] = {
    # The slowest come first, so the session ends with short ones. Each tricky model runs on every
    # database, with alternating ORMs.
    **{
        f"{name}-{database}": answers | answers_for(database, turn + place)
        for turn, (name, answers) in enumerate(MODELS.items())
        for place, database in enumerate(STORES)
    },
    # The others run on one database each.
    **{
        f"{name}-{database}": answers | answers_for(database, turn)
        for (turn, (name, answers)), database in zip(
            enumerate(SHAPES.items()), cycle(STORES), strict=False
        )
    },
    # Neon differs in connections and statements only.
    "shop-neon": {"starter": "shop", "database": "neon", "primary_key": "uuid4"},
    "hostile-neon": model("hostile")
    | {"orm": "sqlalchemy", "database": "neon", "primary_key": "integer"},
}


def _is_run(triple: dict[str, Any], runs: dict[str, dict[str, Any]]) -> bool:
    return any(triple.items() <= {**DEFAULT, **answers}.items() for answers in runs.values())


RUNS: dict[str, dict[str, Any]] = {
    **LARGE,
    # A single entity verifies nothing that a large model does not, with the same ORM, database and
    # kind of key.
    **{
        label(triple): answers
        for triple in TRIPLES
        if triple["orm"] not in WITH_ENGINES
        for answers in [_of_triple(triple)]
        if answers["starter"] == "tasks" or not _is_run(triple, LARGE)
    },
    **{
        f"blank-{database}": answers_for(database, 0) | {"starter": "blank"}
        for database in ("mysql", "sqlite", "mongodb")
    },
    "layer-postgresql": LAYER | {"database": "postgresql", "primary_key": "integer"},
    "layer-sqlite": LAYER | {"database": "sqlite", "primary_key": "uuid7", "ci": "none"},
}
SMOKE = [label(DEFAULT), "blank-sqlite"]

# What tests the database, the settings and the commands rather than the model, and what tests HTTP,
# which uses the repositories of all SQL databases alike. A tricky model runs these files on one SQL
# database, and those of HTTP on MongoDB, too. Other models run them on every database.
OF_THE_DATABASE = ["consent", "database", "development", "neon", "outages", "settings", "structure"]
OF_HTTP = ["api"]
ONCE = {f"{name}-{STORES[turn % 3]}" for turn, name in enumerate(MODELS)}
LIGHTER = {name for name in LARGE if name.partition("-")[0] in MODELS} - ONCE
# These have one entity, and another kind of key than projects that run everything.
KEYS_ONLY = {
    "sqlalchemy-neon-uuid7",
    "sqlmodel-postgresql-uuid7",
    "sqlmodel-neon-uuid4",
    "sqlmodel-neon-uuid7",
}
# Large models run the suites of these triples, without sync sessions.
SYNC_ONLY = {
    "sqlalchemy-postgresql-integer",
    "sqlalchemy-neon-integer",
    "sqlmodel-postgresql-integer",
    "sqlmodel-mysql-integer",
    "sqlmodel-sqlite-integer",
}

# The last line of pytest if no test failed, was skipped, was expected to fail or warned.
ALL_PASSED = re.compile(r"=* ?\d+ passed in [\d.]+s(?: \(\d+:\d\d:\d\d\))? ?=*")

# More than any project needs on a slow machine.
SECONDS = 600


def _part(name: str, project: Path) -> list[str]:
    """Return the arguments that choose the tests to run in a project: none choose all."""
    if name in SYNC_ONLY:
        return [str(path) for path in sorted(project.glob("tests/data_layer/test_sync_*.py"))]
    if name in LIGHTER | KEYS_ONLY:
        has_http = name in KEYS_ONLY or RUNS[name]["orm"] == "beanie"
        omitted = OF_THE_DATABASE if has_http else OF_THE_DATABASE + OF_HTTP
        return [f"--ignore=tests/data_layer/test_{each}.py" for each in omitted]
    return []


def test_every_triple_of_orm_database_and_key_is_run() -> None:
    """Those of Prisma are run by `tests/test_prisma_project.py`."""
    missing = [triple for triple in TRIPLES if not _is_run(triple, RUNS)]
    assert {triple["orm"] for triple in missing} == WITH_ENGINES


def test_the_smallest_model_is_run_on_every_database() -> None:
    blank = [{**DEFAULT, **answers} for answers in RUNS.values() if "blank" in answers.values()]
    assert {answers["database"] for answers in blank} == {*CHOICES["database"]}


def test_every_database_runs_its_own_tests_with_every_orm() -> None:
    whole = [
        answers for name, answers in RUNS.items() if name not in LIGHTER | KEYS_ONLY | SYNC_ONLY
    ]
    pairs = {(answers.get("orm", "sqlalchemy"), answers["database"]) for answers in whole}
    orms = {orm for orm, _ in pairs}
    assert orms >= {"sqlalchemy", "sqlmodel", "beanie"}
    assert pairs == {(orm, database) for orm, database in PAIRS if orm in orms}


def test_every_tricky_model_is_run_whole_once() -> None:
    assert {name.partition("-")[0] for name in RUNS.keys() - LIGHTER - KEYS_ONLY - SYNC_ONLY} >= {
        *TRICKY
    }


def test_what_is_run_in_part_is_run_elsewhere() -> None:
    assert RUNS.keys() >= LIGHTER | KEYS_ONLY | SYNC_ONLY
    triples = [triple for triple in TRIPLES if label(triple) in SYNC_ONLY]
    assert len(triples) == len(SYNC_ONLY)
    assert [triple for triple in triples if not _is_run(triple, LARGE)] == []


@pytest.mark.run
@pytest.mark.parametrize(
    ("name", "answers"),
    [
        pytest.param(name, answers, id=name, marks=pytest.mark.smoke if name in SMOKE else ())
        for name, answers in RUNS.items()
    ],
)
def test_a_project_passes_its_own_tests(
    name: str, answers: dict[str, Any], workshop: Workshop, python: Path
) -> None:
    project = workshop.copy_of("run", **answers)
    folder = project.parent
    done = subprocess.run(
        [python, "-m", "pytest", "--tb=short", *_part(name, project)],
        cwd=project,
        env=environment_of(python, project),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    lines = (done.stdout + done.stderr).rstrip().splitlines()
    if done.returncode != 0 or not ALL_PASSED.fullmatch(done.stdout.rstrip().splitlines()[-1]):
        pytest.fail("\n".join(lines[-150:]), pytrace=False)
    assert _remaining_processes(folder) == []
    assert _remaining_files(folder / "tmp") == []
    assert [*(folder / "home").iterdir()] == []
    shutil.rmtree(folder)


@pytest.mark.run
@pytest.mark.parametrize(
    ("database", "sessions"),
    [*product(SUPPORTED["sqlalchemy"], ["async", "both"]), ("mongodb", "async")],
)
def test_a_project_runs_without_what_it_is_developed_with(
    database: str, sessions: str, workshop: Workshop, tmp_path: Path
) -> None:
    """A deployment has no development dependencies, and may leave `development/` out."""
    rendered = workshop.render(**answers_for(database, 0), sessions=sessions)
    python = workshop.python(f"runtime-{database}-{sessions}", [rendered], development=False)
    project = tmp_path / "project"
    shutil.copytree(rendered, project)
    shutil.rmtree(project / "src" / "acme" / "development")
    modules = ["acme.cli", "acme.api.app", "acme.models", "acme.repositories", "acme.schemas"]
    modules += ["acme.migrating.commands", "acme.migrating.comparison"]
    modules += ["acme.database.sync_sessions"] if sessions == "both" else []
    environment = {
        "PYTHONPATH": str(project / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'acme.db'}",
        "JWT_SECRET": "s" * 32,
    }
    commands = [["-W", "error", "-c", f"import {', '.join(modules)}"]]
    if database == "sqlite":
        commands += [["-m", "acme.cli", "db", "upgrade"], ["-c", SERVE]]
    for arguments in commands:
        subprocess.run([python, *arguments], cwd=project, env=environment, check=True)


# Runs the same tests in another session, in the middle of its own.
MEANWHILE = """
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def test_another_session_ends_first(tmp_path):
    (tmp_path / "ours").touch()
    subprocess.run([sys.executable, "-m", "pytest", *TESTS], cwd=PROJECT, check=True)
    assert (tmp_path / "ours").exists()
"""


@pytest.mark.run
@pytest.mark.parametrize("database", ["sqlite", "mongodb"])
def test_two_sessions_of_a_project_do_not_interfere(
    database: str, workshop: Workshop, python: Path
) -> None:
    """The second one starts and ends while the first one is between two tests of its database."""
    folder = workshop.new_folder("twice")
    project = shutil.copytree(workshop.render(**answers_for(database, 0)), folder / "project")
    tests = ["tests/data_layer/test_links.py", "tests/data_layer/test_settings.py"]
    meanwhile = project / "tests" / "test_meanwhile.py"
    meanwhile.write_text(MEANWHILE.replace("TESTS", repr(tests)))
    done = subprocess.run(
        [python, "-m", "pytest", "--tb=short", tests[0], "tests/test_meanwhile.py", tests[1]],
        cwd=project,
        env=environment_of(python, project),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert _remaining_processes(folder) == []
    assert _remaining_files(folder / "tmp") == []
    shutil.rmtree(folder)


def test_a_session_of_a_project_keeps_the_temporary_folders_of_others(
    workshop: Workshop, tmp_path: Path
) -> None:
    """The same, with pytest alone."""
    project = workshop.render(**answers_for("sqlite", 0))
    settings = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]
    chosen = [
        f"{name} = {value}"
        for name, value in settings["ini_options"].items()
        if name.startswith("tmp_path_")
    ]
    tests, temporary = tmp_path / "tests", tmp_path / "tmp"
    tests.mkdir()
    temporary.mkdir()
    (tmp_path / "pytest.ini").write_text("\n".join(["[pytest]", *chosen]))
    (tests / "test_other.py").write_text(
        "def test_other(tmp_path):\n    assert tmp_path.exists()\n"
    )
    meanwhile = MEANWHILE.replace("TESTS", repr(["tests/test_other.py"]))
    (tests / "test_meanwhile.py").write_text(meanwhile)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/test_meanwhile.py"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert _remaining_files(temporary) == []


# Starts the application, and asks it over ASGI whether it is ready.
SERVE = """
import asyncio
from acme.api.app import create_app

async def main():
    app, sent = create_app(), []
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": "/health/ready",
        "raw_path": b"/health/ready", "query_string": b"", "headers": [], "scheme": "http",
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        sent.append(message)
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    assert sent[0]["status"] == 200, sent

asyncio.run(main())
"""


def _remaining_files(temporary: Path) -> list[Path]:
    """Return what remains, except pytest's folders, which it empties and does not remove."""
    return [
        path
        for path in temporary.rglob("*")
        if not (path.is_dir() and path.relative_to(temporary).parts[0].startswith("pytest-of-"))
    ]


def _remaining_processes(folder: Path) -> list[str]:
    """Return the processes that use the folder and do not end within 30 seconds."""
    deadline = time.monotonic() + 30
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
