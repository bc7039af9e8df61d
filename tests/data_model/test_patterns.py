"""Patterns that the validator accepts mean the same to Pydantic, Python and the databases."""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import asyncpg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from jinja2.sandbox import SandboxedEnvironment
from pydantic import StringConstraints, TypeAdapter, ValidationError
from pymongo import MongoClient
from servers.local_mongodb import LocalMongoDB
from servers.local_postgres import LocalPostgres

from tests.patterns import HOSTILE, REALISTIC, VALUES, drawn

# A field's default maximum, below which MongoDB reads repeated groups.
LENGTH = 255

some = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def problem(jinja: SandboxedEnvironment) -> Callable[[str], list[str] | None]:
    """Return a function that returns what the validator says about a pattern, if anything."""
    rules = jinja.get_template("data_model/validate/patterns.jinja").module
    read = rules.read_pattern  # type: ignore[attr-defined]
    return lambda pattern: json.loads(read(pattern))["problem"]


@pytest.fixture(scope="module")
def as_code(jinja: SandboxedEnvironment) -> Callable[[str], str]:
    """Return a function that returns a pattern as the generated code contains it."""
    meaning = jinja.get_template("data_model/resolve/patterns.jinja").module
    return lambda pattern: str(meaning.as_code(pattern))  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def databases(jinja: SandboxedEnvironment) -> Iterator[Callable[[str], dict[str, set[str]]]]:
    """Return a function that returns the values that match a pattern, by database.

    A database that does not check the pattern is missing.
    """
    meaning = jinja.get_template("data_model/resolve/patterns.jinja").module
    as_stored = meaning.as_stored  # type: ignore[attr-defined]
    with LocalPostgres() as postgres, LocalMongoDB() as mongodb, asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(postgres.url))
        values = [[value] for value in VALUES]
        runner.run(connection.execute("CREATE TABLE texts (value text)"))
        runner.run(connection.copy_records_to_table("texts", records=values))
        with MongoClient[dict[str, Any]](mongodb.url) as client:
            texts = client["patterns"]["texts"]
            texts.insert_many([{"value": value} for value in VALUES])

            def matching(pattern: str) -> dict[str, set[str]]:
                found = {}
                if stored := as_stored(pattern, LENGTH, "postgresql"):
                    query = "SELECT value FROM texts WHERE value ~ $1"
                    rows = runner.run(connection.fetch(query, stored))
                    found["postgresql"] = {row["value"] for row in rows}
                if stored := as_stored(pattern, LENGTH, "mongodb"):
                    rule = {"$jsonSchema": {"properties": {"value": {"pattern": stored}}}}
                    found["mongodb"] = {row["value"] for row in texts.find(rule)}
                return found

            yield matching
        runner.run(connection.close())


def pydantic_matches(pattern: str) -> set[str]:
    """Return the values that Pydantic accepts."""
    texts = TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    found = set()
    for value in VALUES:
        try:
            found.add(texts.validate_python(value))
        except ValidationError:
            continue
    return found


def compile_in_python(pattern: str) -> re.Pattern[str]:
    """Compile a pattern with `re`, and fail on a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return re.compile(pattern)


@pytest.mark.parametrize("pattern", REALISTIC)
def test_a_realistic_pattern_is_accepted_and_matches(
    pattern: str, problem: Callable[[str], Any], as_code: Callable[[str], str]
) -> None:
    assert problem(pattern) is None
    text = REALISTIC[pattern]
    adapter = TypeAdapter(Annotated[str, StringConstraints(pattern=as_code(pattern))])
    assert adapter.validate_python(text) == text
    assert compile_in_python(as_code(pattern)).search(text)


def test_a_hostile_pattern_is_rejected_or_compiled(
    problem: Callable[[str], Any], as_code: Callable[[str], str]
) -> None:
    accepted = [pattern for pattern in HOSTILE if problem(pattern) is None]
    for pattern in accepted:
        TypeAdapter(Annotated[str, StringConstraints(pattern=as_code(pattern))])
        compile_in_python(as_code(pattern))
    assert 50 < len(accepted) < len(HOSTILE) - 100


def test_digits_are_those_from_0_to_9(as_code: Callable[[str], str]) -> None:
    assert as_code(r"^\d\\d[\d.]\D[^\d]\[\d$") == r"^[0-9]\\d[0-9.][^0-9][^0-9]\[[0-9]$"


def test_databases_read_a_pattern_as_pydantic_does(
    problem: Callable[[str], Any],
    as_code: Callable[[str], str],
    databases: Callable[[str], dict[str, set[str]]],
) -> None:
    checked = 0
    for pattern in [*REALISTIC, *HOSTILE]:
        if problem(pattern) is None:
            expected = pydantic_matches(as_code(pattern))
            for database, found in databases(as_code(pattern)).items():
                assert found == expected, (database, pattern)
                checked += 1
    assert checked > 250


@some
@given(pattern=drawn)
def test_databases_read_any_pattern_as_pydantic_does(
    pattern: str,
    problem: Callable[[str], Any],
    as_code: Callable[[str], str],
    databases: Callable[[str], dict[str, set[str]]],
) -> None:
    assume(problem(pattern) is None)
    compile_in_python(as_code(pattern))
    expected = pydantic_matches(as_code(pattern))
    for found in databases(as_code(pattern)).values():
        assert found == expected
