"""Patterns in generated projects: schemas, sample data and the validators of MongoDB."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import SandboxedEnvironment

from tests.patterns import HOSTILE, REALISTIC
from tests.workshop import Workshop

# Exponential in an engine that goes back: it would never finish.
SLOW = r"^(a+)+$"
FIELDS = [
    (f"text_{number}", {"type": "text", "pattern": pattern})
    for number, pattern in enumerate(REALISTIC)
]
ENTITIES = {
    "Slow": {"embedded": True, "fields": {"slow": {"type": "text", "pattern": SLOW}}},
    "Sheet": {
        "fields": {
            "slow": {"type": "text", "pattern": SLOW},
            "part": {"type": "embedded", "of": "Slow"},
        }
    },
    **{
        f"Sheet{number}": {"fields": dict(FIELDS[number : number + 30])}
        for number in range(0, len(FIELDS), 30)
    },
}
PROJECTS: dict[str, dict[str, Any]] = {
    "sqlalchemy": {"database": "postgresql"},
    "sqlmodel": {"orm": "sqlmodel", "database": "sqlite"},
    "beanie": {"orm": "beanie", "database": "mongodb"},
}

# Prints the fields that each schema rejects: for a sample, and for each of two long values.
REJECTED = """
import json
from faker import Faker
from pydantic import ValidationError
from acme.development.sample_data import SAMPLES
from acme.schemas import SheetCreate, SheetUpdate

def rejected(schema, values):
    try:
        schema(**values)
    except ValidationError as error:
        return [list(each["loc"]) for each in error.errors()]
    return []

made = {sample.name: sample.make(Faker(), 1, {}).model_dump() for sample in SAMPLES}["Sheet"]
print(json.dumps([
    rejected(schema, {**made, "slow": "a" * length + "!", "part": {"slow": "a" * length + "!"}})
    for schema in (SheetCreate, SheetUpdate)
    for length in (60, 100_000)
]))
"""

STORED = """
import json, sys
from acme.database.patterns import as_stored
print(json.dumps([as_stored(pattern, length) for pattern, length in json.load(sys.stdin)]))
"""


@pytest.mark.parametrize("orm", PROJECTS)
def test_a_text_takes_linear_time_and_every_pattern_has_samples(
    orm: str, workshop: Workshop, python: Path
) -> None:
    project = workshop.render(**PROJECTS[orm], project_name="Acme", entities=ENTITIES)
    found = run(python, project, REJECTED)
    assert found == [[["slow"], ["part", "slow"]]] * 4


def test_models_and_the_first_migration_contain_the_same_patterns_of_mongodb(
    workshop: Workshop, python: Path, jinja: SandboxedEnvironment
) -> None:
    project = workshop.render(**PROJECTS["beanie"], project_name="Acme", entities=ENTITIES)
    templates: Any = jinja.get_template("data_model/resolve/patterns.jinja").module
    rules: Any = jinja.get_template("data_model/validate/patterns.jinja").module
    patterns = [
        templates.as_code(pattern)
        for pattern in [*REALISTIC, *HOSTILE]
        if json.loads(rules.read_pattern(pattern))["problem"] is None
    ]
    asked = [(pattern, length) for pattern in patterns for length in (None, 500, 501)]
    expected = [templates.as_stored(*each, "mongodb") or None for each in asked]
    assert run(python, project, STORED, asked) == expected
    assert 200 < len(list(filter(None, expected))) < len(expected) - 100


def run(python: Path, project: Path, program: str, given: object = None) -> Any:
    """Run a program in the environment of a project; return what it prints."""
    done = subprocess.run(
        [python, "-c", program],
        env={"PYTHONPATH": str(project / "src")},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("pattern", "high", "count"),
    [
        ("[ab]", 5, "2"),
        ("a", 5, "1"),
        ("x|y|z", 255, "3"),
        ("^[0-9]$", 1, "10"),
        (r"\d{2}", 9, "100"),
        ("[0-9]{1,3}", 1, "10"),
        ("(draft|final)(-[12])?", 50, "6"),
        ("(a|b)(c|(d|e){2})", 9, "10"),
        (r"[\].]", 3, "2"),
        ("[+-]", 3, "2"),
        ("ABC-[0-1]", 9, "2"),
        ("[A-Z]{3}", 3, ""),
        ("[a-z0-9]+(-[a-z0-9]+)*", 255, ""),
        (r"\+[1-9]\d{1,14}", 16, ""),
        ("#[0-9a-f]{6}", 7, ""),
    ],
)
def test_the_texts_of_a_pattern_are_counted_if_they_are_few(
    pattern: str, high: int, count: str, jinja: SandboxedEnvironment
) -> None:
    module: Any = jinja.get_template("flavours/python/pattern_texts.jinja").module
    assert module.text_count(pattern, 0, high) == count
