"""MySQL, by what it would be told: every statement of a project, and its migration.

There is no MySQL here to run them on. What it lacks of MariaDB is looked for in their text.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.workshop import TRICKY, Workshop, model

SCRIPT = Path(__file__).with_name("mysql_statements.py")
MODELS = [*TRICKY, "campus"]
URL = "mysql://somebody@localhost/nothing"

# What only MariaDB knows, and what MySQL knows only between parentheses.
ONLY_MARIADB = {
    "RETURNING": r"\bRETURNING\b",
    "a type for UUIDs": r"\bUUID\b(?!\()",
    "a collation": r"\butf8mb4_(nopad_|uca)\w*",
    "a sequence": r"\b(NEXTVAL|CREATE SEQUENCE)\b",
    "IF EXISTS in ALTER TABLE": r"\bALTER TABLE \S+ (ADD|DROP) \w+ IF\b",
    "DROP CONSTRAINT of a CHECK": r"\bDROP CONSTRAINT `?ck_",
    "a default of a function": r"\bDEFAULT (?!NULL)[a-z_]+\(",
    "a default of CURRENT_DATE": r"\bDEFAULT CURRENT_DATE\b",
    "a plain default of a long column": r"\b(LONGTEXT|LONGBLOB|JSON)( NOT NULL)? DEFAULT [^(]",
    "quotes around a name": r'(\bFROM|\bINTO|\bTABLE|\bON) "',
}


@pytest.fixture(scope="module", params=MODELS)
def told(request: pytest.FixtureRequest, workshop: Workshop) -> tuple[str, str]:
    """What MySQL is told by the repositories of a project, and by its migration."""
    projects = {name: workshop.render(**model(name) | {"database": "mysql"}) for name in MODELS}
    python = workshop.python("mysql", [*projects.values()])
    project = projects[request.param]
    surroundings = os.environ | {"PYTHONPATH": str(project / "src"), "DATABASE_URL": URL}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [python, *arguments],
            cwd=project,
            env=surroundings | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run(str(SCRIPT)), run("-m", "alembic", "upgrade", "head", "--sql")


@pytest.mark.parametrize("word", ONLY_MARIADB)
def test_mysql_is_told_nothing_that_only_mariadb_knows(word: str, told: tuple[str, str]) -> None:
    for text in told:
        assert re.findall(ONLY_MARIADB[word], without_values(text)) == []


def test_the_script_compiles_every_kind_of_statement(told: tuple[str, str]) -> None:
    statements, migration = told
    kinds = {line.split(maxsplit=1)[0] for line in statements.splitlines()}
    assert kinds == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert len(statements.splitlines()) > 100
    assert "CREATE TABLE" in migration
    assert "COLLATE utf8mb4_0900_bin" in migration


def without_values(sql: str) -> str:
    """SQL without what is in its texts."""
    return re.sub(r"'(?:[^'\\]|''|\\.)*'", "''", sql)
