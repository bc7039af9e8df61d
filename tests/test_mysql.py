"""MySQL compatibility of the statements and the migration of a project.

There is no MySQL server here to run them, so their text is searched for MariaDB-only syntax.
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
URL = "mysql://user@localhost/unused"

# Syntax that only MariaDB supports, or that MySQL supports only in parentheses.
MARIADB_ONLY = {
    "RETURNING": r"\bRETURNING\b",
    "the UUID type": r"\bUUID\b(?!\()",
    "a collation": r"\butf8mb4_(nopad_|uca)\w*",
    "a sequence": r"\b(NEXTVAL|CREATE SEQUENCE)\b",
    "IF EXISTS in ALTER TABLE": r"\bALTER TABLE \S+ (ADD|DROP) \w+ IF\b",
    "DROP CONSTRAINT of a CHECK": r"\bDROP CONSTRAINT `?ck_",
    "a function as default": r"\bDEFAULT (?!NULL)[a-z_]+\(",
    "CURRENT_DATE as default": r"\bDEFAULT CURRENT_DATE\b",
    "a literal default of a long column": r"\b(LONGTEXT|LONGBLOB|JSON)( NOT NULL)? DEFAULT [^(]",
    "double quotes around a name": r'(\bFROM|\bINTO|\bTABLE|\bON) "',
}


@pytest.fixture(scope="module", params=MODELS)
def compiled(request: pytest.FixtureRequest, workshop: Workshop) -> tuple[str, str]:
    """The statements of a project's repositories, and the SQL of its migration."""
    projects = {name: workshop.render(**model(name) | {"database": "mysql"}) for name in MODELS}
    python = workshop.python("mysql", [*projects.values()])
    project = projects[request.param]
    environment = os.environ | {"PYTHONPATH": str(project / "src"), "DATABASE_URL": URL}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [python, *arguments],
            cwd=project,
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run(str(SCRIPT)), run("-m", "alembic", "upgrade", "head", "--sql")


@pytest.mark.parametrize("word", MARIADB_ONLY)
def test_no_statement_uses_mariadb_only_syntax(word: str, compiled: tuple[str, str]) -> None:
    for text in compiled:
        assert re.findall(MARIADB_ONLY[word], without_values(text)) == []


def test_the_script_compiles_every_kind_of_statement(compiled: tuple[str, str]) -> None:
    statements, migration = compiled
    kinds = {line.split(maxsplit=1)[0] for line in statements.splitlines()}
    assert kinds == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert len(statements.splitlines()) > 100
    assert "CREATE TABLE" in migration
    assert "COLLATE utf8mb4_0900_bin" in migration


def without_values(sql: str) -> str:
    """Return SQL with its string literals emptied."""
    return re.sub(r"'(?:[^'\\]|''|\\.)*'", "''", sql)
