"""Small models, each of a kind that once broke a check or a test of its project."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.workshop import Workshop, environment_of

# MongoDB deletes what has expired about once a minute: parents vanished while tests ran.
EXPIRING = """
entities:
  Account:
    fields:
      name:       {type: string, max_length: 50}
      expires_at: {type: datetime}
    indexes:
      - {on: [expires_at], expires_after: 0, why: Ended accounts.}
  Note:
    fields:
      text: {type: string, max_length: 50}
    references:
      account: {to: Account, on_delete: restrict}
"""

# What no entity has, no test is about.
PLAIN = """
entities:
  Note:
    fields:
      title: {type: string, max_length: 50}
"""

# Where values are few, tests and sample data once took values that were all in use, or references
# that only one owner can have; and the only record that could have a link had none.
FEW_VALUES = """
entities:
  User:
    fields:
      l: {type: integer, unique: true}
  Award:
    fields:
      kind: {type: enum, values: [a], unique: true}
  Emblem:
    owned_by: User
    fields:
      kind: {type: enum, values: [a], unique: true}
    many_to_many:
      awards: {to: Award, inverse: emblems}
  Only:
    owned_by: User
    fields:
      kind: {type: enum, values: [a]}
    indexes:
      - {on: [owner, kind], unique: true, why: One for each user.}
  Dependent:
    owned_by: User
    fields:
      kind:   {type: enum, values: [a]}
      answer: {type: boolean, optional: true, unique: true}
    references:
      only: {to: Only, on_delete: cascade}
  Pair:
    owned_by: User
    fields:
      flag: {type: boolean}
    references:
      only:      {to: Only, on_delete: cascade}
      dependent: {to: Dependent, on_delete: cascade, inverse: pairs}
      l:         {to: Level, optional: true}
    indexes:
      - {on: [only, dependent, flag], unique: true, why: Once for each flag.}
  Profile:
    owned_by: User
    fields:
      bio: {type: string, index: Reports search by it.}
    indexes:
      - {on: [owner], unique: true, why: One for each user.}
  Level:
    soft_delete: true
    fields:
      number: {type: integer, ge: 1, le: 3, unique: true}
      side:   {type: string, max_length: 5, pattern: "[a-c]", unique: true}
      day:    {type: date, optional: true, unique: true}
"""

# The longest value of a text is longer than the body of a request can be, records without an owner
# prevent the deletion of records of several owners, a table has the name of what tests add, and all
# that can change is an embedded entity. A searched text has a pattern or must be unique. To the
# linter, O and I look like digits.
RARE = """
entities:
  User:
    fields:
      name: {type: string, max_length: 20}
  Thing:
    owned_by: User
    fields:
      notes: {type: text, max_length: 1100000, optional: true}
  Payment:
    fields:
      amount: {type: integer}
    references:
      thing: {to: Thing, on_delete: restrict}
  Size:
    embedded: true
    fields:
      width: {type: integer}
  Parcel:
    fields:
      size: {type: embedded, of: Size}
  Account:
    owned_by: User
    fields:
      handle:   {type: string, max_length: 64, pattern: "^[a-z0-9]+$"}
      nickname: {type: string, max_length: 64, unique: true}
      type:     {type: enum, values: [O, I]}
    indexes:
      - {on: [handle, nickname], using: fulltext, why: Search accounts.}
"""

# There is room for one user, which is the caller.
ALONE = """
entities:
  User:
    principal: true
    fields:
      kind: {type: enum, values: [only], unique: true}
  Note:
    owned_by: User
    fields:
      kind: {type: enum, values: [only]}
"""

# Tests of what a database does, for which a model may have no example.
OF_A_DATABASE = {"test_migrations.py"}

FILES = {
    "sqlite": ["sample_data", "repositories", "relations", "constraints", "queries"],
    "mongodb": ["sample_data", "relations", "constraints"],
}


@pytest.mark.run
@pytest.mark.parametrize(("orm", "database"), [("sqlmodel", "sqlite"), ("beanie", "mongodb")])
def test_a_model_of_few_values_passes_its_tests(
    workshop: Workshop, python: Path, orm: str, database: str
) -> None:
    answers = yaml.safe_load(FEW_VALUES)
    project = workshop.render(orm=orm, database=database, api=False, **answers)
    check(project, python, [f"tests/data_layer/test_{name}.py" for name in FILES[database]])


@pytest.mark.run
def test_a_plain_model_has_no_test_that_never_runs(workshop: Workshop, python: Path) -> None:
    project = workshop.render(database="sqlite", **yaml.safe_load(PLAIN))
    listed = subprocess.run(
        [python, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env=environment_of(python, project),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    collected = {re.sub(r"\[.*", "", line) for line in listed.splitlines() if "::" in line}
    written = {
        f"{file.relative_to(project).as_posix()}::{name}"
        for file in project.glob("tests/**/test_*.py")
        if file.name not in OF_A_DATABASE
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    assert written - collected == set()


@pytest.mark.run
def test_a_rare_model_passes_its_tests(workshop: Workshop, python: Path) -> None:
    project = workshop.render(database="sqlite", **yaml.safe_load(RARE))
    names = "api", "repositories", "database", "queries", "search"
    files = [f"tests/data_layer/test_{name}.py" for name in names]
    chosen = "length_of_a_text or still_refer or failed_commit or custom_update or a_search"
    check(project, python, [*files, "-k", chosen])


@pytest.mark.run
def test_a_model_of_one_user_passes_its_tests(workshop: Workshop, python: Path) -> None:
    project = workshop.render(database="sqlite", **yaml.safe_load(ALONE))
    check(project, python, ["tests/test_user.py", "tests/test_note.py"])


def check(project: Path, python: Path, files: list[str]) -> None:
    """Check that a project's code is clean, and that these of its tests pass."""
    ruff = str(python.with_name("ruff"))
    environment = {
        **os.environ,
        "PYTHONPATH": str(project / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for command in (
        [ruff, "check", "--no-cache"],
        [ruff, "format", "--no-cache", "--diff"],
        [str(python), "-m", "pytest", "-q", *files],
    ):
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.run
def test_no_sample_document_has_expired(workshop: Workshop, python: Path) -> None:
    answers = yaml.safe_load(EXPIRING)
    project = workshop.render(orm="beanie", database="mongodb", api=False, **answers)
    check(project, python, ["tests/data_layer/test_sample_data.py"])
    assert "test_no_sample_record_has_expired" in (
        project / "tests/data_layer/test_sample_data.py"
    ).read_text("utf-8")
