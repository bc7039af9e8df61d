"""What the commands take for the private database of a project, and reset, on running servers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.oracle import answers_for
from tests.workshop import Workshop, environment_of

# Compares the database of `dev` with others that have its name or its server, and resets each.
TRIAL = '''
import os
from contextlib import suppress
from pathlib import Path

from acme.development import dumping, local_database
from acme.development.environment import NotPrivate, prepared_folder, reset_database
from acme.migrating import commands
from acme.migrating.target import find_target
from acme.settings import load_database_settings


def reset(url):
    name = getattr(url, "get_backend_name", lambda: "")()
    url = url.set(drivername=name) if name else url
    os.environ["DATABASE_URL"] = url.render_as_string(hide_password=False)
    load_database_settings.cache_clear()
    return reset_database(5)


def beside(url):
    if url.__class__.__name__ == "URL" and url.get_backend_name() == "sqlite":
        return url.set(database=url.database.replace("acme.db", "beside.db"))
    return url.set(database={"postgresql": "postgres", "mariadb": "mysql"}.get(KIND, "beside"))


# Written on another branch, which does not know the titles of this one.
OTHER = """
from beanie import free_fall_migration
from acme.migrating.operations import replace_validator


class Forward:
    @free_fall_migration(document_models=[])
    async def step(self, session):
        await replace_validator(session, "tasks", {"$jsonSchema": {"required": ["name"]}})
"""


def check_that_a_merge_is_tried_on_a_copy(private):
    from acme.development.merging import merge

    file = Path("migrations/versions/20200101_000000_other.py")
    file.write_text(OTHER)
    known = dumping.facts(private)
    try:
        merge("join")
    except commands.MigrationError as error:
        assert "rejects 5 existing documents" in str(error), error
    else:
        raise AssertionError("branches that do not fit together were merged")
    file.unlink()
    assert dumping.facts(private) == known


with local_database.development_database(prepared_folder(), lambda _: None) as private:
    KIND = str(private).partition(":")[0].partition("+")[0]
    assert find_target(private).is_private
    assert not find_target(beside(private)).is_private
    for _ in range(2):
        reset(private)
        assert dumping.facts(private).counts["tasks"] == 5
    commands.check(private)
    if KIND == "mongodb":
        check_that_a_merge_is_tried_on_a_copy(private)
    with local_database.temporary_database() as other:
        assert find_target(other).name == find_target(private).name
        assert not find_target(other).is_private
        commands.upgrade(other)
        before = dumping.facts(other)
        with suppress(NotPrivate):
            reset(other)
            raise AssertionError("another database was reset")
        assert dumping.facts(other) == before
        if KIND != "sqlite":
            # A password that leaked to another server does not make it private.
            home = Path(find_target.__globals__["_home"]())
            (home / "password").write_text(other.password)
            assert not find_target(other).is_private
'''


# Runs the commands that destroy data as a coding agent does, without and with words of a person.
AGENT_TRIAL = '''
import json
import os
import sys
from pathlib import Path

from typer.testing import CliRunner

from acme import cli
from acme.development import dumping, local_database
from acme.development.environment import prepared_folder, remember
from acme.migrating import commands
from acme.settings import load_database_settings

LOG = Path(".dev/consents.log")
WORDS = ["--consent", "Yes, Ada said: go on"]

# Each drops a table, or a collection, of which the sample data has some.
PENDING = {
    "sql": """
from alembic import op

revision = "20990101_000000"
down_revision = FIRST


def upgrade():
    op.drop_table("task_tags")


def downgrade():
    pass
""",
    "mongodb": """
from beanie import free_fall_migration

from acme.migrating.operations import drop_collection, outside_transaction


class Forward:
    @free_fall_migration(document_models=[])
    @outside_transaction
    async def step(self, session):
        await drop_collection(session, "task_tags")


class Backward:
    pass
""",
}


def run(*arguments):
    load_database_settings.cache_clear()
    sys.argv[1:] = ["db", *arguments]
    return CliRunner().invoke(cli.app, ["db", *arguments])


def succeeds(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, (arguments, result.output, result.exception)


def asks(url, *arguments):
    """Check that a command changes nothing without words, and continues with them."""
    before, agreed = dumping.facts(url), len(entries())
    tries = ([], "Claude Code runs"), (["--consent", "yes"], "'yes' does not say")
    for words, why in tries:
        result = run(*arguments, *words)
        assert result.exit_code == 1, (arguments, result.output)
        assert result.stderr.startswith("acme: nothing was changed: "), result.stderr
        assert why in result.stderr and "--consent" in result.stderr, result.stderr
        assert len(result.stderr.splitlines()) == 1, result.stderr
    assert dumping.facts(url) == before
    assert len(entries()) == agreed
    succeeds(*arguments, *WORDS)
    assert len(entries()) == agreed + 1
    assert entries()[-1]["words"] == WORDS[1]
    assert entries()[-1]["command"].startswith(f"acme db {' '.join(arguments)} --consent")


def entries():
    return [json.loads(line) for line in LOG.read_text().splitlines()] if LOG.exists() else []


os.environ["CLAUDECODE"] = "1"
with local_database.development_database(prepared_folder(), lambda _: None) as private:
    name = getattr(private, "get_backend_name", lambda: "")()
    plain = private.set(drivername=name) if name else private
    remember("DATABASE_URL", plain.render_as_string(hide_password=False))
    commands.upgrade(private)
    succeeds("seed", "--records", "5")
    asks(private, "reset", "--records", "5")
    succeeds("backup", "saved")
    asks(private, "restore", "saved")
    [first] = Path("migrations/versions").glob("*.py")
    pending = first.with_name("20990101_000000_drop.py")
    source = PENDING["sql" if name else "mongodb"]
    pending.write_text(source.replace("FIRST", repr(first.stem[:15])))
    assert "task_tags (" in run("upgrade").stderr
    asks(private, "upgrade")
    succeeds("upgrade")
    pending.unlink()
    succeeds("restore", "saved", *WORDS)
    result = run("downgrade", "--database", "acme")
    assert result.exit_code == 1 and "--consent" in result.stderr, result.output
    known = len(entries())
    del os.environ["CLAUDECODE"]
    succeeds("reset", "--records", "5")
    succeeds("restore", "saved")
    assert len(entries()) == known
'''


def run_trial(script: str, database: str, workshop: Workshop, python: Path) -> None:
    project = workshop.copy_of("consent", **answers_for(database, 0))
    subprocess.run(
        [python, "-W", "error", "-c", script],
        cwd=project,
        env=environment_of(python, project),
        check=True,
    )
    assert ".dev/\n" in (project / ".gitignore").read_text("utf-8")
    shutil.rmtree(project.parent)


@pytest.mark.run
@pytest.mark.parametrize("database", ["sqlite", "mongodb"])
def test_an_agent_destroys_nothing_that_no_person_agreed_to(
    database: str, workshop: Workshop, python: Path
) -> None:
    run_trial(AGENT_TRIAL, database, workshop, python)


@pytest.mark.run
@pytest.mark.parametrize("database", ["postgresql", "mysql", "sqlite", "mongodb"])
def test_only_the_private_database_is_private(
    database: str, workshop: Workshop, python: Path
) -> None:
    run_trial(TRIAL, database, workshop, python)
