"""A changed data model leads to a migration that also changes the rules in the database."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from tests.test_update import commit, generate, template, update_from_the_file

# Fixtures that are shared with the tests of updates.
__all__ = ["generate", "template"]

# Tests that are copied into the project, where Alembic and the database are available.
REVISIONS = Path(__file__).with_name("walk_revisions.txt")
RENAMES = Path(__file__).with_name("walk_renames.txt")
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

# A model that is written by hand, as the documentation of its library does; then a unique column.
MEMO = """
from datetime import datetime

from sqlalchemy import Column, ForeignKey, String, Table, text
from sqlalchemy.orm import Mapped, mapped_column

from acme.models.base import Base, Entity

memo_tags = Table(
    "memo_tags",
    Base.metadata,
    Column("memo_id", ForeignKey("memos.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class Memo(Entity):
    __tablename__ = "memos"

    number: Mapped[str] = mapped_column(String(20), unique=True)
    title: Mapped[str | None] = mapped_column(String(40), index=True)
    todo_id: Mapped[int | None] = mapped_column(ForeignKey("todos.id"), index=True)
    pages: Mapped[int] = mapped_column(server_default=text("1"))
    read_at: Mapped[datetime | None]
"""
UNIQUE_MEMO = MEMO.replace("String(40), index=True", "String(40), unique=True")

# The same with Beanie.
MEMO_DOCUMENT = """
from typing import Annotated

from beanie import Indexed, PydanticObjectId
from pymongo import IndexModel

from acme.models.base import Entity, Refers, UtcDateTime


class Memo(Entity):
    number: Annotated[str, Indexed(unique=True)]
    title: Annotated[str | None, Indexed()] = None
    package_id: Annotated[
        PydanticObjectId | None, Refers("Package", "package", "memos", "set_null")
    ] = None
    read_at: UtcDateTime | None = None

    class Settings:
        name = "memos"
        indexes = [IndexModel([("package_id", 1), ("read_at", -1)])]
"""
UNIQUE_MEMO_DOCUMENT = MEMO_DOCUMENT.replace(
    "str | None, Indexed()", "str | None, Indexed(unique=True)"
)

# Everything that can be renamed or filled, before and after; what it refers to stays as it is.
REFERRED = """
Place:
  fields:
    name: {type: string, max_length: 20}
Tag:
  fields:
    name: {type: string, max_length: 20}
"""
NAMED = (
    REFERRED
    + """
Person:
  fields:
    full_name: {type: string, max_length: 30}
Task:
  owned_by: Person
  soft_delete: true
  references:
    place: {to: Place, optional: true}
  many_to_many:
    tags: {to: Tag, fields: {remark: {type: string, max_length: 20, optional: true}}}
  fields:
    title: {type: string, max_length: 50, unique: true}
    status: {type: enum, values: [open, "it's done"], default: open}
    size: {type: integer}
    due_on: {type: date, optional: true}
    price: {type: decimal, precision: 8, scale: 2}
    day: {type: date}
  indexes:
    - {on: [title, size], where: {status: "it's done"}, unique: true, why: Sizes.}
"""
)
RENAMED_ALL = (
    REFERRED
    + """
User:
  was: Person
  fields:
    name: {type: string, max_length: 30, was: full_name}
Todo:
  was: Task
  owned_by: User
  soft_delete: true
  references:
    spot: {to: Place, optional: true, was: place}
  many_to_many:
    tags: {to: Tag, fields: {note: {type: string, max_length: 20, optional: true, was: remark}}}
  fields:
    headline: {type: string, max_length: 20, unique: true, was: title}
    status: {type: enum, values: [open, {value: "it's \\\\ over", was: "it's done"}], default: open}
    size: {type: integer}
    due_on: {type: date, fill: "2026-01-01"}
    order: {type: decimal, precision: 9, scale: 3, was: price}
    day: {type: datetime}
    notes: {type: json, fill: {"a": ":b"}}
    slug: {type: string, max_length: 50, fill: {field: headline}}
    rank: {type: integer, fill: 3}
  indexes:
    - {on: [headline, size], where: {status: "it's \\\\ over"}, unique: true, why: Sizes.}
"""
)

# A table can be dropped only after the columns that refer to it.
REFERRING = FIRST.replace(
    "  checks:\n", "  references:\n    shelf: {to: Shelf, optional: true}\n  checks:\n"
)

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

# PostgreSQL converts no number to a date.
DATED = WIDER.replace("{type: integer, default: 0}", '{type: date, default: "2026-01-01"}')

# Renames the collection, a field and a value at once, shortens a field and adds a required one.
MOVED = """
Package:
  was: Parcel
  fields:
    title:  {type: string, min_length: 1, max_length: 12, default: "a :b", was: label}
    status: {type: enum, values: [open, {value: "gone :out", was: "sent :out"}], default: open}
    weight: {type: integer, ge: 1, le: 10, default: 1}
    low:    {type: integer, default: 0}
    high:   {type: integer, default: 9}
    kind:   {type: enum, values: [box, "bag :big"], default: box}
    packed: {type: datetime, default: now}
    grams:  {type: bigint, gt: 0, optional: true}
    code:   {type: string, fill: {field: title}}
  checks:
    high_above_weight: {rule: high >= weight, why: It would not fit.}
  indexes:
    - {on: [title], where: {status: "gone :out"}, why: Lists of what is on its way.}
Room:
  fields:
    place: {type: enum, values: [up, "down :stairs"]}
"""


@pytest.mark.run
@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_rules_follow_the_model(database: str, generate: Callable[..., Path], python: Path) -> None:
    project = generate(database=database, primary_key="integer", entities=yaml.safe_load(REFERRING))
    lost = ["parcels.shelf_id", "parcels.size", "the table shelves"]
    changed = revise(project, python, CHANGED, "change", losing=lost)
    # Four rules are dropped and five created; others, such as the label's length, are unchanged.
    assert changed.count('type_="check"') == changed.count("create_check_constraint(") == 9
    assert "ck_parcels_label_length" not in changed
    revise(project, python, RENAMED, "rename", losing=["parcels (renamed to packages?)", "`was`"])
    wider = revise(project, python, WIDER, "widen")
    assert "constraint" not in wider

    (project / "tests/test_walk.py").write_text(REVISIONS.read_text("utf-8"), "utf-8")
    run(
        project, python, "pytest", "-x", "tests/test_walk.py", "tests/data_layer/test_migrations.py"
    )
    if database == "postgresql":
        check_that_a_failed_migration_is_kept(project, python)
    else:
        check_that_a_downgrade_asks(project, python)


@pytest.mark.run
@pytest.mark.parametrize("database", ["postgresql", "mysql", "sqlite"])
def test_renames_keep_rows(database: str, generate: Callable[..., Path], python: Path) -> None:
    project = generate(database=database, primary_key="integer", entities=yaml.safe_load(NAMED))
    change_model(project, RENAMED_ALL.replace(", fill: 3", ""))
    asked = attempt(project, python, "acme.cli", "db", "revision", "-m", "rename")
    assert "existing rows have no value for todos.rank" in asked.stderr, asked.stderr
    written = revise(project, python, RENAMED_ALL, "rename")
    assert "ALTER TABLE tasks RENAME TO todos" in written
    assert "drop_table" not in written

    (project / "tests/test_walk.py").write_text(RENAMES.read_text("utf-8"), "utf-8")
    run(
        project, python, "pytest", "-x", "tests/test_walk.py", "tests/data_layer/test_migrations.py"
    )
    check_that_models_written_by_hand_are_migrated(project, python, MEMO, UNIQUE_MEMO)
    # What has been renamed is not renamed again, and what never existed is an error.
    again = attempt(project, python, "acme.cli", "db", "revision", "-m", "again")
    assert "there is nothing to write" in again.stderr, again.stderr
    change_model(
        project,
        RENAMED_ALL.replace("rank: {type: integer, fill: 3}", "sum: {type: integer, was: total}"),
    )
    never = attempt(project, python, "acme.cli", "db", "revision", "-m", "never")
    assert "todos.sum was never total" in never.stderr, never.stderr


def check_that_models_written_by_hand_are_migrated(
    project: Path, python: Path, model: str, changed: str
) -> None:
    """Add a model in a file of its own, with rows that its next migration has to preserve."""
    file, document = project / "src/acme/models/memo.py", project / "docs/schema.md"
    generated = document.read_text("utf-8")
    documented = []
    command = ["acme.cli", "db", "revision", "--json", "-m"]
    for number, text in enumerate((model, changed)):
        file.write_text(text, "utf-8")
        done = attempt(project, python, *command, f'"""Memos {number}""" of C:\\users')
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert report["unverified"] == []
        # Nothing waits for an index of a new table.
        assert (report["risk"] == "low") == (text == model), report
        # The index on the optional column becomes unique.
        assert any("memos" in each for each in report["fails_if"]) == (text == changed)
        run(project, python, "acme.cli", "db", "docs")
        documented.append(document.read_text("utf-8"))
    assert all("\n## Memo\n" in text for text in documented)
    assert documented[0] != documented[1]
    written = file.read_text("utf-8")
    file.unlink()
    run(project, python, "acme.cli", "db", "docs")
    assert document.read_text("utf-8") == generated
    file.write_text(written, "utf-8")


def check_that_a_failed_migration_is_kept(project: Path, python: Path) -> None:
    """Write a migration that the database does not run."""
    change_model(project, DATED)
    versions = project / "migrations/versions"
    before = set(versions.glob("*.py"))
    failed = attempt(project, python, "acme.cli", "db", "revision", "-m", "dates")
    assert failed.returncode == 1
    [kept] = versions.glob("*.failed")
    assert kept.name in failed.stderr
    reason = kept.read_text("utf-8").partition('"""')[0]
    assert re.search(
        r"_dates\.py, line \d+: ALTER TABLE packages .* failed: cannot cast type", reason
    )
    assert set(versions.glob("*.py")) == before


def check_that_a_merge_keeps_fields(project: Path, python: Path, written: str) -> None:
    """Join a branch with the validators from before a migration, which added a field."""
    folder = project / "migrations/versions"
    head, _, rest = written.partition("class Forward:")
    backward = rest.partition("class Backward:")[2]
    restored = [line for line in backward.splitlines() if "remove_field(" not in line]
    branch = folder / "20990101_000000_branch.py"
    text = "\n".join([f"{head}class Forward:", *restored, "class Backward:", '    """Nothing."""'])
    branch.write_text(text, "utf-8")
    done = attempt(project, python, "acme.cli", "db", "merge", "-m", "join")
    assert "- keeps the values of parcels.packed" in done.stdout, done.stderr
    [joined] = folder.glob("*_join.py")
    assert 'fill_in(session, "parcels", "packed"' in joined.read_text("utf-8")
    assert "remove_field" not in joined.read_text("utf-8")
    for file in (branch, joined):
        file.unlink()


def check_that_a_downgrade_asks(project: Path, python: Path) -> None:
    """Revert a migration that has added a column, which contains a value by now."""
    file = project / "walk.db"
    place = {"DATABASE_URL": f"sqlite:///{file}"}

    def rows() -> list[Any]:
        with closing(sqlite3.connect(file)) as connection:
            return connection.execute("SELECT * FROM packages").fetchall()

    assert attempt(project, python, "acme.cli", "db", "upgrade", **place).returncode == 0
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO packages DEFAULT VALUES")
        connection.commit()
    before = rows()
    asked = attempt(project, python, "acme.cli", "db", "downgrade", **place)
    assert asked.returncode == 1
    assert "packages.packed (1 value)" in asked.stderr
    assert "--database walk.db" in asked.stderr
    assert rows() == before
    named = ["--database", "walk.db"]
    confirmed = attempt(project, python, "acme.cli", "db", "downgrade", *named, **place)
    assert confirmed.returncode == 0, confirmed.stderr
    assert len(rows()[0]) == len(before[0]) - 1
    model = project / "src/acme/models/base.py"
    text = model.read_text("utf-8")
    model.write_text(f"{text}import acme.missing\n", "utf-8")
    unknown = attempt(project, python, "acme", "db", "upgrade", **place)
    assert unknown.returncode == 1
    assert re.search(r'base\.py", line \d+', unknown.stderr)
    model.write_text(text, "utf-8")
    # A merge left a conflict in a migration, then also in a model.
    migration = max((project / "migrations/versions").glob("*.py"))
    for file in (migration, project / "src/acme/models/package.py"):
        with file.open("a", encoding="utf-8") as end:
            end.write("<<<<<<< before updating\n=======\n>>>>>>> after updating\n")
        unresolved = attempt(project, python, "acme", "db", "upgrade", **place)
        assert unresolved.returncode == 1
        [sentence] = unresolved.stderr.splitlines()
        assert re.search(rf"{file.name}:\d+: a merge conflict", sentence)


@pytest.mark.run
def test_documents_follow_the_model(generate: Callable[..., Path], python: Path) -> None:
    project = generate(
        orm="beanie",
        database="mongodb",
        primary_key="objectid",
        entities=yaml.safe_load(FIRST),
    )
    lost = ["parcels.size", "the collection shelves"]
    changed = revise(project, python, CHANGED, "change", losing=lost)
    assert 'fill_in(session, "parcels", "kind", "box")' in changed
    assert 'fill_in(session, "parcels", "grams", None)' in changed
    assert 'drop_collection(session, "shelves")' in changed
    # Once in each direction. An index with the same field and condition is not recreated.
    assert changed.count("replace_validator(\n") == 2
    assert "_index" not in changed.replace("create_indexes,", "").replace("drop_index,", "")
    wider = revise(project, python, CHANGED.replace("    grams: ", PACKED), "widen")
    assert 'fill_in(session, "parcels", "packed", datetime.now(UTC))' in wider
    assert "collection(" not in wider
    check_that_a_merge_keeps_fields(project, python, wider)
    moved = revise(
        project,
        python,
        MOVED,
        "move",
        asking={
            ('"title": "label"', '"title": "labels"'): "was never called 'labels'",
            ('"code": "$title"', ""): "no value for packages.code",
        },
    )
    assert 'rename_collection(session, "parcels", "packages")' in moved
    assert "drop_collection(" not in moved

    (project / "tests/test_walk.py").write_text(DOCUMENTS.read_text("utf-8"), "utf-8")
    run(
        project, python, "pytest", "-x", "tests/test_walk.py", "tests/data_layer/test_migrations.py"
    )
    check_that_models_written_by_hand_are_migrated(
        project, python, MEMO_DOCUMENT, UNIQUE_MEMO_DOCUMENT
    )


def revise(
    project: Path,
    python: Path,
    entities: str,
    message: str,
    losing: Sequence[str] = (),
    asking: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> str:
    """Change the data model, update the project, and return the migration of `db revision`.

    If it would lose data, check that it says so, and writes nothing until that is confirmed. The
    same after each edit in `asking` of what the project says about its former names.
    """
    change_model(project, entities)
    command = ["acme.cli", "db", "revision", "-m", message]
    changes = project / "src/acme/migrating/changes.py"
    for (old, new), sentence in asking.items():
        before = sorted((project / "migrations").rglob("*"))
        text = changes.read_text("utf-8")
        assert text.count(old) == 1
        changes.write_text(text.replace(old, new), "utf-8")
        asked = attempt(project, python, *command)
        assert asked.returncode == 1
        assert sentence in asked.stderr
        assert sorted((project / "migrations").rglob("*")) == before
        changes.write_text(text, "utf-8")
    if losing:
        before = sorted((project / "migrations").rglob("*"))
        asked = attempt(project, python, *command)
        assert asked.returncode == 1
        assert all(name in asked.stderr for name in losing), asked.stderr
        assert sorted((project / "migrations").rglob("*")) == before
        command.append("--drop")
    done = attempt(project, python, *command, "--json")
    report = json.loads(done.stdout or "{}")
    assert done.returncode == {"low": 0, "medium": 0, "high": 3}[report["risk"]], done.stderr
    assert report["risk"] == "high" or not losing
    assert report["changes"]
    assert not report["unverified"]
    commit(project)
    [written] = (project / "migrations/versions").glob(f"*_{message}.py")
    assert f"Risk: {report['risk']}\n" in written.read_text("utf-8")
    run(project, python, "ruff", "check")
    run(project, python, "ruff", "format", "--check")
    return written.read_text("utf-8")


def change_model(project: Path, entities: str) -> None:
    """Change the data model, and update the project."""
    data_model = project / "data_model.yml"
    answers = yaml.safe_load(data_model.read_text("utf-8"))
    answers["entities"] = yaml.safe_load(entities)
    data_model.write_text(yaml.safe_dump(answers, sort_keys=False), "utf-8")
    commit(project)
    update_from_the_file(project)


def run(project: Path, python: Path, *arguments: str) -> None:
    """Run a module in the project, and show its output if it fails."""
    done = attempt(project, python, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def attempt(
    project: Path, python: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a module in the project, which may fail."""
    return subprocess.run(
        [python, "-m", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
