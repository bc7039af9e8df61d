"""A changed data model leads to a migration that also changes the rules in the database."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from tests.test_update import commit, generate, template, update_from_the_file

# Fixtures that are shared with the tests of updates.
__all__ = ["generate", "template"]

# Tests that are copied into the project, where Alembic and the database are available.
REVISIONS = Path(__file__).with_name("walk_revisions.txt")
DOCUMENTS = Path(__file__).with_name("walk_documents.txt")

FIRST = """
Parcel:
  fields:
    label:  {type: string, min_length: 1, max_length: 20, default: "a :b"}
    status: {type: enum, values: [open, "sent :out"], default: open}
    weight: {type: integer, ge: 1, le: 5, default: 1}
    low:    {type: integer, default: 0}
    high:   {type: integer, default: 9}
    size:   {type: integer, ge: 0, default: 0}
  checks:
    low_below_high: {rule: low <= high, why: The range must not be empty.}
  indexes:
    - {on: [label], where: {status: "sent :out"}, why: Lists of what is on its way.}
Shelf:
  fields:
    place: {type: enum, values: [left, "right :side"]}
"""

# Adds an enum value, changes a range, adds and drops rules, and columns and tables with rules.
CHANGED = """
Parcel:
  fields:
    label:  {type: string, min_length: 1, max_length: 20, default: "a :b"}
    status: {type: enum, values: [open, "sent :out", "it's \\"lost\\": 100% :("], default: open}
    weight: {type: integer, ge: 1, le: 10, default: 1}
    low:    {type: integer, default: 0}
    high:   {type: integer, default: 9}
    kind:   {type: enum, values: [box, "bag :big"], default: box}
    grams:  {type: bigint, gt: 0, optional: true}
  checks:
    high_above_weight: {rule: high >= weight, why: It would not fit.}
  indexes:
    - {on: [label], where: {status: "sent :out"}, why: Lists of what is on its way.}
Room:
  fields:
    place: {type: enum, values: [up, "down :stairs"]}
"""

RENAMED = CHANGED.replace("Parcel:\n", "Parcel:\n  table: packages\n")

# SQLite copies a table for this; the copy must be identical to the original.
PACKED = "    packed: {type: datetime, default: now}\n    grams: "
WIDER = RENAMED.replace("    grams: ", PACKED)


@pytest.mark.run
@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_rules_follow_the_model(database: str, generate: Callable[..., Path], python: Path) -> None:
    project = generate(database=database, primary_key="integer", entities=yaml.safe_load(FIRST))
    changed = revise(project, python, CHANGED, "change", losing=["parcels.size", "shelves"])
    # Four rules are dropped and five created; others, such as the label's length, are unchanged.
    assert changed.count("drop_constraint(") == changed.count("create_check_constraint(") == 9
    assert "ck_parcels_label_length" not in changed
    revise(project, python, RENAMED, "rename", losing=["parcels (renamed to packages?)"])
    wider = revise(project, python, WIDER, "widen")
    assert "constraint" not in wider

    (project / "tests/test_walk.py").write_text(REVISIONS.read_text("utf-8"), "utf-8")
    run(
        project, python, "pytest", "-x", "tests/test_walk.py", "tests/data_layer/test_migrations.py"
    )


@pytest.mark.run
def test_documents_follow_the_model(generate: Callable[..., Path], python: Path) -> None:
    project = generate(
        orm="beanie",
        database="mongodb",
        primary_key="objectid",
        entities=yaml.safe_load(FIRST),
    )
    changed = revise(project, python, CHANGED, "change", losing=["parcels.size", "shelves"])
    assert 'fill_in(session, "parcels", "kind", "box")' in changed
    assert 'fill_in(session, "parcels", "grams", None)' in changed
    assert 'drop_collection(session, "shelves")' in changed
    # Once in each direction. An index with the same field and condition is not recreated.
    assert changed.count("replace_validator(\n") == 2
    assert "_index" not in changed.replace("create_indexes,", "").replace("drop_index,", "")
    wider = revise(project, python, CHANGED.replace("    grams: ", PACKED), "widen")
    assert 'fill_in(session, "parcels", "packed", datetime.now(UTC))' in wider
    assert "collection(" not in wider

    (project / "tests/test_walk.py").write_text(DOCUMENTS.read_text("utf-8"), "utf-8")
    run(
        project, python, "pytest", "-x", "tests/test_walk.py", "tests/data_layer/test_migrations.py"
    )


def revise(
    project: Path, python: Path, entities: str, message: str, losing: Sequence[str] = ()
) -> str:
    """Change the data model, update the project, and return the migration of `db revision`.

    If it would lose data, check that it says so, and writes nothing until that is confirmed.
    """
    data_model = project / "data_model.yml"
    answers = yaml.safe_load(data_model.read_text("utf-8"))
    answers["entities"] = yaml.safe_load(entities)
    data_model.write_text(yaml.safe_dump(answers, sort_keys=False), "utf-8")
    commit(project)
    update_from_the_file(project)
    command = [str(python), "-m", "acme.cli", "db", "revision", "-m", message]
    if losing:
        before = sorted((project / "migrations").rglob("*"))
        asked = subprocess.run(
            command, cwd=project, env=environment(), capture_output=True, text=True, check=False
        )
        assert asked.returncode == 1
        assert all(name in asked.stderr for name in losing), asked.stderr
        assert sorted((project / "migrations").rglob("*")) == before
    confirmed = ["--drop"] if losing else []
    run(project, python, "acme.cli", "db", "revision", "-m", message, *confirmed)
    commit(project)
    [written] = (project / "migrations/versions").glob(f"*_{message}.py")
    run(project, python, "ruff", "check")
    run(project, python, "ruff", "format", "--check")
    return written.read_text("utf-8")


def run(project: Path, python: Path, module: str, *arguments: str) -> None:
    """Run a module in the project, and show its output if it fails."""
    done = subprocess.run(
        [python, "-m", module, *arguments],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def environment() -> dict[str, str]:
    """Return the environment for a module of the project."""
    return {**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
